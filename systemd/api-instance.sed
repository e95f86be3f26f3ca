# SPDX-License-Identifier: Apache-2.0
# Makes pharos-api@.service of pharos-api.service: the API of one of several clusters on a host, by the name of its file
# /etc/pharos/api/NAME.yml. What is not named here is the same for all.
s|^Description=Pharos: |&cluster %i: |
s|^ConditionPathExists=/etc/pharos/api\.yml$|ConditionPathExists=/etc/pharos/api/%i.yml|
s|^ExecStart=/usr/sbin/pharos-api$|& --config /etc/pharos/api/%i.yml|
s|^RuntimeDirectory=pharos-api$|RuntimeDirectory=pharos-api@%i|
s|pharos\.service|pharos@%i.service|g
