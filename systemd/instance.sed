# SPDX-License-Identifier: Apache-2.0
# Makes pharos@.service of pharos.service, and pharos-again@.service of pharos-again.service: one of several clusters on a host, by the
# name of its file /etc/pharos/NAME.yml. What is not named here is the same for all.
s|^Description=Pharos: |&cluster %i: |
s|^ExecStart=/usr/sbin/pharosd$|& --config /etc/pharos/%i.yml|
s|^ExecStopPost=/usr/bin/pharos release --after-stop$|& --config /etc/pharos/%i.yml|
s|^RuntimeDirectory=pharos$|RuntimeDirectory=pharos@%i|
s|^StateDirectory=pharos$|StateDirectory=pharos/%i|
s|pharos-again\.service|pharos-again@%i.service|
s|pharos\.service|pharos@%i.service|g
