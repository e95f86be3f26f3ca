// SPDX-License-Identifier: Apache-2.0
// sd_journal_send() and sd_notifyf() are variadic and invisible to Swift; sd_journal_sendv() and sd_notify() are not.
#pragma once
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <systemd/sd-journal.h>
#include <sys/eventfd.h>
#include <sys/epoll.h>
