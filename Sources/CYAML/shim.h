// SPDX-License-Identifier: Apache-2.0
// libyaml: the parser's events with their marks. Only the parser is used.
#pragma once
#include <yaml.h>
