// SPDX-License-Identifier: Apache-2.0
import CLinux

/// From now on each line on standard output goes out as it is printed, also into a pipe or a file, where the C library would keep it
/// until it has some thousand bytes. To be called before anything is printed.
public func flushOutputByLines() { linux_flush_lines() }
