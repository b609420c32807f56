/* Stands between a process and the system's calls that change files: LD_PRELOAD.
 *
 * Until crash_states_arm is called, every call passes. From then on, each call that changes something below the watched
 * folder is an operation. Operations are counted from 1, written to a log, and the chosen one fails, is torn, or is the
 * last one of the process. The log is what `workloads.crash_states.operations` reads.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

enum mode { COUNT, FAIL, TEAR, KILL };

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static char watched[PATH_MAX];
static size_t watched_length;
static int log_fd = -1;
static enum mode mode;
static long chosen, passed;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_watched(const char *path) {
    size_t length = strlen(path);
    if (!watched_length || strncmp(path, watched, watched_length)) return 0;
    if (path[watched_length] && path[watched_length] != '/') return 0;
    return length < 4 || strcmp(path + length - 4, "-shm"); /* SQLite maps it, and makes it again */
}

static int path_of_fd(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_watched(path);
}

static int path_at(int folder, const char *name, char *path) {
    char base[PATH_MAX];
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else {
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, base, sizeof base - 1);
            if (length < 0) return 0;
            base[length] = 0;
        }
        if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return 0;
    }
    return is_watched(path);
}

static void put(const void *data, size_t size) {
    ssize_t (*real)(int, const void *, size_t) = REAL(write);
    const char *at = data;
    while (log_fd >= 0 && size) {
        ssize_t done = real(log_fd, at, size);
        if (done < 0) abort();
        at += done;
        size -= (size_t)done;
    }
}

/* One line: the operation, the file's inode, two numbers, and the sizes of two paths; then the paths, then the data. */
static void record(char what, ino_t inode, long long one, long long two, const char *path, const char *other) {
    char line[160];
    int length = snprintf(line, sizeof line, "%c %llu %lld %lld %zu %zu\n", what, (unsigned long long)inode, one, two,
                          strlen(path), strlen(other));
    put(line, (size_t)length);
    put(path, strlen(path));
    put(other, strlen(other));
}

/* Whether the operation that begins now is the chosen one. The lock is held until `end`. */
static int begin(void) {
    pthread_mutex_lock(&one_at_a_time);
    return ++passed == chosen;
}

static void end(int is_chosen) {
    int saved = errno;
    if (is_chosen && mode == KILL) kill(getpid(), SIGKILL);
    pthread_mutex_unlock(&one_at_a_time);
    errno = saved;
}

static ino_t inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : status.st_ino;
}

static int fails(int is_chosen, int code) {
    if (!is_chosen || (mode != FAIL && mode != TEAR)) return 0;
    errno = code;
    return 1;
}

#define MARK 0x70686f746fL

/* Some libraries (LanceDB's, in Rust) rename without the C library. A filter of the kernel turns these calls into a
 * signal, whose handler makes them through `renameat2` above. Only x86-64 and arm64 have the registers named here. */
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags);

#ifdef __x86_64__
#define ARGUMENT(context, n) ((context)->uc_mcontext.gregs[(int[]){REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8}[n]])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#else
#define ARGUMENT(context, n) ((context)->uc_mcontext.regs[n])
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#endif

static void on_trap(int number, siginfo_t *info, void *more) {
    ucontext_t *context = more;
    int saved = errno, result;
    (void)number;
#ifdef SYS_rename
    if (info->si_syscall == SYS_rename)
        result = renameat2(AT_FDCWD, (const char *)ARGUMENT(context, 0), AT_FDCWD, (const char *)ARGUMENT(context, 1), 0);
    else
#endif
        result = renameat2((int)ARGUMENT(context, 0), (const char *)ARGUMENT(context, 1), (int)ARGUMENT(context, 2),
                           (const char *)ARGUMENT(context, 3),
                           info->si_syscall == SYS_renameat2 ? (unsigned int)ARGUMENT(context, 4) : 0);
    RESULT(context) = result ? -errno : 0;
    errno = saved;
}

static void trap_renames(void) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat, 3, 0),
#ifdef SYS_rename
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rename, 2, 0),
#else
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat, 2, 0),
#endif
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)MARK, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        abort();
}

/* The filter outlives an exec, the handler does not. */
__attribute__((constructor)) static void handle_traps(void) {
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSYS, &action, NULL);
}

void crash_states_arm(const char *folder, int log, int how, long at) {
    snprintf(watched, sizeof watched, "%s", folder);
    log_fd = log;
    mode = (enum mode)how;
    chosen = at;
    passed = 0;
    watched_length = strlen(watched);
    trap_renames();
}

long crash_states_passed(void) { return passed; }

static ssize_t write_at(int fd, const void *data, size_t size, long long offset, int moves) {
    char path[PATH_MAX];
    ssize_t (*write_on)(int, const void *, size_t) = REAL(write);
    ssize_t (*write_there)(int, const void *, size_t, off64_t) = REAL(pwrite64);
    if (!path_of_fd(fd, path)) return moves ? write_on(fd, data, size) : write_there(fd, data, size, offset);
    int is_chosen = begin();
    if (is_chosen && mode == FAIL) {
        errno = ENOSPC;
        end(is_chosen);
        return -1;
    }
    if (moves) {
        struct stat status;
        offset = lseek64(fd, 0, SEEK_CUR);
        if ((fcntl(fd, F_GETFL) & O_APPEND) && !fstat(fd, &status)) offset = status.st_size;
    }
    size_t allowed = is_chosen && mode == TEAR ? size / 2 : size;
    ssize_t done = moves ? write_on(fd, data, allowed) : write_there(fd, data, allowed, offset);
    int saved = errno;
    if (done > 0) {
        record('W', inode_of(fd), offset, done, path, "");
        put(data, (size_t)done);
    }
    errno = saved;
    if (is_chosen && mode == TEAR) {
        errno = EIO;
        done = -1;
    }
    end(is_chosen);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) { return write_at(fd, data, size, 0, 1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return write_at(fd, data, size, offset, 0); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return write_at(fd, data, size, offset, 0); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (!path_of_fd(fd, path)) return REAL(writev)(fd, parts, count);
    return count && parts[0].iov_len ? write(fd, parts[0].iov_base, parts[0].iov_len) : 0; /* the caller goes on */
}

static int opened(int folder, const char *name, int flags, mode_t rights) {
    char path[PATH_MAX];
    int (*real)(int, const char *, int, ...) = REAL(openat64);
    if (!(flags & (O_CREAT | O_TRUNC)) || !path_at(folder, name, path)) return real(folder, name, flags, rights);
    struct stat status;
    int existed = !lstat(path, &status);
    if (existed && (!(flags & O_TRUNC) || !status.st_size)) return real(folder, name, flags, rights);
    int is_chosen = begin();
    if (fails(is_chosen, ENOSPC)) {
        end(is_chosen);
        return -1;
    }
    int fd = real(folder, name, flags, rights);
    int saved = errno;
    if (fd >= 0) record(existed ? 'T' : 'C', inode_of(fd), 0, 0, path, "");
    errno = saved;
    end(is_chosen);
    return fd;
}

#define RIGHTS(flags)                                  \
    mode_t rights = 0;                                 \
    if (flags & (O_CREAT | __O_TMPFILE)) {             \
        va_list more;                                  \
        va_start(more, flags);                         \
        rights = va_arg(more, mode_t);                 \
        va_end(more);                                  \
    }

int open(const char *path, int flags, ...) { RIGHTS(flags) return opened(AT_FDCWD, path, flags, rights); }
int open64(const char *path, int flags, ...) { RIGHTS(flags) return opened(AT_FDCWD, path, flags | O_LARGEFILE, rights); }
int openat(int folder, const char *path, int flags, ...) { RIGHTS(flags) return opened(folder, path, flags, rights); }
int openat64(int folder, const char *path, int flags, ...) {
    RIGHTS(flags) return opened(folder, path, flags | O_LARGEFILE, rights);
}
int creat(const char *path, mode_t rights) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, rights); }

static int synced(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    if (!path_of_fd(fd, path)) return real(fd);
    int is_chosen = begin();
    if (fails(is_chosen, EIO)) {
        end(is_chosen);
        return -1;
    }
    int result = real(fd);
    int saved = errno;
    if (!result) record('S', inode_of(fd), 0, 0, path, "");
    errno = saved;
    end(is_chosen);
    return result;
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

int ftruncate64(int fd, off64_t size) {
    char path[PATH_MAX];
    if (!path_of_fd(fd, path)) return REAL(ftruncate64)(fd, size);
    int is_chosen = begin();
    if (fails(is_chosen, ENOSPC)) {
        end(is_chosen);
        return -1;
    }
    int result = REAL(ftruncate64)(fd, size);
    int saved = errno;
    if (!result) record('T', inode_of(fd), size, 0, path, "");
    errno = saved;
    end(is_chosen);
    return result;
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* The operations on names. `call` is made only if the operation does not fail. */
#define NAMED(what, first, is_first, second, is_second, call)     \
    int is_chosen = begin();                                      \
    if (fails(is_chosen, EIO)) {                                  \
        end(is_chosen);                                           \
        return -1;                                                \
    }                                                             \
    int result = call;                                            \
    int saved = errno;                                            \
    if (!result) record(what, 0, is_first, is_second, first, second); \
    errno = saved;                                                \
    end(is_chosen);                                               \
    return result;

/* Renames are system calls with a mark in an argument that the kernel does not read: the filter below lets them pass. */
static int renamed(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
    return (int)syscall(SYS_renameat2, (long)from_folder, from, (long)to_folder, to, (long)flags, MARK);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned int flags) {
    char old[PATH_MAX], new[PATH_MAX];
    int is_old = path_at(from_folder, from, old), is_new = path_at(to_folder, to, new);
    if (!is_old && !is_new) return renamed(from_folder, from, to_folder, to, flags);
    NAMED('R', old, is_old, new, is_new, renamed(from_folder, from, to_folder, to, flags))
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return renameat2(from_folder, from, to_folder, to, 0);
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    char old[PATH_MAX], new[PATH_MAX];
    int is_old = path_at(from_folder, from, old), is_new = path_at(to_folder, to, new);
    if (!is_new) return REAL(linkat)(from_folder, from, to_folder, to, flags);
    NAMED('L', old, is_old, new, is_new, REAL(linkat)(from_folder, from, to_folder, to, flags))
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    if (!path_at(folder, name, path)) return REAL(unlinkat)(folder, name, flags);
    NAMED(flags & AT_REMOVEDIR ? 'X' : 'U', path, 1, "", 0, REAL(unlinkat)(folder, name, flags))
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    struct stat status;
    return !lstat(path, &status) && S_ISDIR(status.st_mode) ? rmdir(path) : unlink(path);
}

int mkdirat(int folder, const char *name, mode_t rights) {
    char path[PATH_MAX];
    if (!path_at(folder, name, path)) return REAL(mkdirat)(folder, name, rights);
    NAMED('M', path, 1, "", 0, REAL(mkdirat)(folder, name, rights))
}
int mkdir(const char *path, mode_t rights) { return mkdirat(AT_FDCWD, path, rights); }
