// SPDX-License-Identifier: Apache-2.0
// What Swift's Glibc module hides or cannot express: GNU-only calls, Linux-only headers, macros, and a guarded spawn.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern int close_range(unsigned int first, unsigned int last, int flags);
extern int setns(int descriptor, int kind);
extern int pipe2(int ends[2], int flags);
extern int prlimit(pid_t process, int resource, const struct rlimit *limit, struct rlimit *before);
extern int memfd_create(const char *name, unsigned int flags);
extern unsigned int if_nametoindex(const char *name);

/// Sets the interface's net.ipv4.conf.*.promote_secondaries to 1, by netlink: for that CAP_NET_ADMIN is enough, also where
/// /proc/sys cannot be written. Answers 0, or an errno. Waits for the kernel's lock on the network configuration, which others
/// may hold for long: an action for a child, never for the loop's thread.
static inline int linux_promote_secondaries(int index) {
    // Four attributes, each in the one before; the kernel counts its settings from 1.
    struct {
        struct nlmsghdr header;
        struct ifinfomsg link;
        struct nlattr families, family, settings, setting;
        uint32_t value;
    } request;
    struct { struct nlmsghdr header; struct nlmsgerr error; char rest[512]; } answer;
    memset(&request, 0, sizeof request);
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_SETLINK;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request.header.nlmsg_seq = 1;
    request.link.ifi_family = AF_UNSPEC;
    request.link.ifi_index = index;
    request.setting.nla_type = IPV4_DEVCONF_PROMOTE_SECONDARIES;
    request.setting.nla_len = sizeof request.setting + sizeof request.value;
    request.settings.nla_type = IFLA_INET_CONF | NLA_F_NESTED;
    request.settings.nla_len = sizeof request.settings + request.setting.nla_len;
    request.family.nla_type = AF_INET | NLA_F_NESTED;
    request.family.nla_len = sizeof request.family + request.settings.nla_len;
    request.families.nla_type = IFLA_AF_SPEC | NLA_F_NESTED;
    request.families.nla_len = sizeof request.families + request.family.nla_len;
    request.value = 1;
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (descriptor < 0) return errno;
    int result = 0;
    // The kernel acts, and puts its answer into the queue, before send comes back.
    if (send(descriptor, &request, sizeof request, 0) < 0) result = errno;
    else if (recv(descriptor, &answer, sizeof answer, MSG_DONTWAIT) < (ssize_t)(sizeof answer.header + sizeof(int))) result = EIO;
    else if (answer.header.nlmsg_type != NLMSG_ERROR) result = EIO;
    else result = -answer.error.error;
    close(descriptor);
    return result;
}

/// Fills in an abstract name (unix(7)): one of the network namespace, no file's, gone with who holds it. Answers its length; 0 if too long.
static inline socklen_t linux_abstract_name(const char *name, struct sockaddr_un *address) {
    size_t length = strlen(name);
    memset(address, 0, sizeof *address);
    if (length == 0 || length > sizeof address->sun_path - 1) return 0;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + 1, name, length);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

/// Takes an abstract name; answers the socket that holds it, or a negated errno: EADDRINUSE where somebody else does.
static inline int linux_take_name(const char *name) {
    struct sockaddr_un address;
    socklen_t length = linux_abstract_name(name, &address);
    if (length == 0) return -ENAMETOOLONG;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -errno;
    // Listened at, so that whoever finds the name taken can ask the kernel who has it. Nobody is ever let in.
    if (bind(descriptor, (struct sockaddr *)&address, length) != 0 || listen(descriptor, 64) != 0) {
        int error = errno;
        close(descriptor);
        return -error;
    }
    return descriptor;
}

/// Connects to whoever listens at an abstract name, and fills in the process and the user that it had when it began to. Answers a socket that
/// hangs up when that ends, or a negated errno: ECONNREFUSED where nobody listens.
static inline int linux_reach_name(const char *name, pid_t *process, uid_t *user) {
    struct sockaddr_un address;
    socklen_t length = linux_abstract_name(name, &address);
    if (length == 0) return -ENAMETOOLONG;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -errno;
    struct { pid_t process; uid_t user; gid_t group; } holder;
    socklen_t size = sizeof holder;
    if (connect(descriptor, (struct sockaddr *)&address, length) != 0
        || getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &holder, &size) != 0) {
        int error = errno;
        close(descriptor);
        return -error;
    }
    *process = holder.process;
    *user = holder.user;
    return descriptor;
}

/// The bytes that a pipe holds; -1 where that cannot be told.
static inline int linux_waiting_bytes(int descriptor) {
    int count = 0;
    return ioctl(descriptor, FIONREAD, &count) == 0 ? count : -1;
}

/// The bytes that have arrived on a TCP connection since it was made (tcp_info's tcpi_bytes_received, Linux 4.1); -1 where it is none.
static inline int64_t linux_received_bytes(int descriptor) {
    uint8_t info[136];
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, 11 /* TCP_INFO */, info, &length) != 0 || length < sizeof info) return -1;
    uint64_t bytes;
    memcpy(&bytes, info + 128, sizeof bytes);
    return (int64_t)bytes;
}

/// Sets this process's own soft limit on open files; answers 0 or an errno. By prlimit: see linux_take_rights.
static inline int linux_set_file_limit(uint64_t limit) {
    struct rlimit files;
    if (prlimit(0, RLIMIT_NOFILE, 0, &files) != 0) return errno;
    files.rlim_cur = (rlim_t)limit;
    return prlimit(0, RLIMIT_NOFILE, &files, 0) == 0 ? 0 : errno;
}

/// This process's limits on open files; 0 where they cannot be told.
static inline struct rlimit linux_file_limit(void) {
    struct rlimit files = {0, 0};
    if (prlimit(0, RLIMIT_NOFILE, 0, &files) != 0) files.rlim_cur = files.rlim_max = 0;
    return files;
}

static inline int64_t linux_clock_microseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/// Whether a time service keeps the clock: 1 or 0; a negated errno where the kernel does not say.
static inline int linux_clock_is_synchronized(void) {
    struct timex state;
    memset(&state, 0, sizeof state);
    if (adjtimex(&state) < 0) return -errno;
    return (state.status & STA_UNSYNC) == 0;
}

static inline int64_t linux_boot_time_microseconds(void) { return linux_clock_microseconds(CLOCK_BOOTTIME); }

/// What a child is started with. A descriptor of -1 means /dev/null.
struct linux_child {
    char *const *arguments;    // arguments[0] is the absolute path
    char *const *environment;
    int input, output, error;
    int64_t begin_by;          // CLOCK_BOOTTIME in microseconds; 0: no limit
    int64_t alive_for;         // microseconds; 0: no limit
    // Not 0: the child keeps none of this process's ambient capabilities, leads a session and so a process group of its own,
    // and is as likely as any other program to be ended when memory runs out.
    int without_rights;
    int64_t task_limit;        // only without rights: more tasks of this user it cannot bring about; 0: no limit
    // Not 0: runs in the place of the program, in a copy of this process, and its answer is the exit status (127 where the copy
    // could not be set up). It must make system calls only: another thread may have held a lock when the copy was made.
    int (*action)(int argument);
    int argument;
};

/// No rights, a session of its own, the ordinary OOM score (to raise it needs no right), and a limit on tasks: what a child is
/// given that is not `ip`. Answers 0 or an errno.
static inline int linux_take_rights(int64_t task_limit) {
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return errno;
    if (setsid() < 0) return errno;
    // The kernel knows a child of vfork, and leaves the score of the parent, whose memory it shares, as it is. Where the file
    // cannot be written, the child is more likely to be ended than others, or there is no /proc to say otherwise.
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0 && write(score, "0", 1) != 1) errno = 0;
    if (score >= 0) close(score);
    // By prlimit, which a unit's filter of system calls may leave where it takes setrlimit away.
    struct rlimit tasks = {(rlim_t)task_limit, (rlim_t)task_limit};
    if (task_limit > 0 && prlimit(0, RLIMIT_NPROC, &tasks, 0) != 0) return errno;
    return 0;
}

/// Starts a child; answers its process id, or a negated errno.
///
/// The guard (`begin_by`, `alive_for`): the child arms ITIMER_REAL, which survives execve and runs on while the process
/// is stopped, and only then reads the clock and gives up (exit 125) if `begin_by` has passed. A child frozen at any
/// instruction therefore either acts before `begin_by + alive_for` or is killed by SIGALRM before its next one.
static inline pid_t linux_spawn(const struct linux_child *child) {
    int gate[2] = {-1, -1};
    if (child->action && pipe2(gate, O_CLOEXEC) != 0) return -errno;
    sigset_t all, before, none;
    sigfillset(&all);
    sigemptyset(&none);
    volatile int failure = 0;
    pthread_sigmask(SIG_BLOCK, &all, &before);
    // A child of vfork would keep this process waiting until its action is done. One of fork does only until it has closed what
    // it must not keep (below): the end of this pipe goes with all else.
    pid_t process = child->action ? fork() : vfork();
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int number = 1; number < 65; number++) signal(number, SIG_DFL);
        int standard[3] = {child->input, child->output, child->error};
        for (int i = 0; i < 3; i++) {
            int descriptor = standard[i] >= 0 ? standard[i] : open("/dev/null", O_RDWR);
            // Whichever of the two has failed, by its own error number.
            if (descriptor < 0 || dup2(descriptor, i) < 0) { failure = errno; _exit(127); }
        }
        // Nothing else is passed on, also not what a library opened without O_CLOEXEC. And it is closed here, before the parent
        // goes on: exec closes a moment later. A descriptor that the parent closes while epoll watches it would be watched on,
        // for a source that is gone, and libcurl (7.88) closes sockets that it still connects before it says so.
        close_range(3, ~0U, 0);
        if (child->without_rights && (failure = linux_take_rights(child->task_limit)) != 0) _exit(127);
        if (child->alive_for > 0) {
            struct itimerval timer = {{0, 0}, {child->alive_for / 1000000, child->alive_for % 1000000}};
            setitimer(ITIMER_REAL, &timer, 0);
        }
        if (child->begin_by > 0 && linux_boot_time_microseconds() > child->begin_by) _exit(125);
        sigprocmask(SIG_SETMASK, &none, 0);
        if (child->action) _exit(child->action(child->argument));
        execve(child->arguments[0], child->arguments, child->environment);
        failure = errno;
        _exit(127);
    }
    int error = process < 0 ? errno : failure;
    if (child->action) {
        char nothing;
        close(gate[1]);
        if (process > 0 && read(gate[0], &nothing, 1) != 0) error = errno;
        close(gate[0]);
    }
    pthread_sigmask(SIG_SETMASK, &before, 0);
    if (process > 0 && failure != 0) {
        int status;
        while (waitpid(process, &status, 0) < 0 && errno == EINTR) {}
        return -error;
    }
    return process < 0 ? -error : process;
}

// Swift takes `stdout` for a variable that anybody may change.
static inline void linux_flush_lines(void) { setvbuf(stdout, NULL, _IOLBF, 0); }
