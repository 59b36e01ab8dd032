// Preloaded into a process of a test: fails, ends or misleads it at an operation on files under one folder.
//
//   LEMAN_SHIM_UNDER  part of the paths that are meant
//   LEMAN_SHIM_COUNT  a file of 8 bytes: how many steps (names made, changed or removed) the first process has taken
//   LEMAN_SHIM_KILL   the step, from 1, at which the first process is killed; even: after the operation, odd: before it
//   LEMAN_SHIM_ERROR  errno of every operation that opens to write, makes, renames, links or removes ("28"), or with
//                     LEMAN_SHIM_READ=1 that opens to read, or with LEMAN_SHIM_FULL=1 that writes bytes or takes room
//   LEMAN_SHIM_CLOCK  a file of 8 bytes: seconds by which the wall clock is off
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static const char* under;
static int64_t kill_at;
static int error_number;
static int fail_reads;
static int fail_bytes;
static _Atomic int64_t* count;
static _Atomic int64_t* clock_offset_s;
static __thread int inside;

static void* Mapped(const char* name) {
  const char* path = getenv(name);
  if (path == NULL) return NULL;
  int (*real_open)(const char*, int, ...) = dlsym(RTLD_NEXT, "open");
  const int fd = real_open(path, O_RDWR);
  void* mapped = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return mapped == MAP_FAILED ? NULL : mapped;
}

__attribute__((constructor)) static void Start(void) {
  under = getenv("LEMAN_SHIM_UNDER");
  clock_offset_s = Mapped("LEMAN_SHIM_CLOCK");
  if (getenv("LEMAN_SHIM_ERROR") != NULL) error_number = atoi(getenv("LEMAN_SHIM_ERROR"));
  fail_reads = getenv("LEMAN_SHIM_READ") != NULL;
  fail_bytes = getenv("LEMAN_SHIM_FULL") != NULL;
  if (getenv("LEMAN_SHIM_COUNT") == NULL || getenv("LEMAN_SHIM_OWNER") != NULL) return;
  setenv("LEMAN_SHIM_OWNER", "1", 1);  // Processes that this one starts are not meant.
  count = Mapped("LEMAN_SHIM_COUNT");
  if (getenv("LEMAN_SHIM_KILL") != NULL) kill_at = atoll(getenv("LEMAN_SHIM_KILL"));
}

static int IsMeant(const char* path) { return under != NULL && path != NULL && strstr(path, under) != NULL; }

static void Step(void) {
  if (count == NULL) return;
  const int64_t step = ++*count;
  if (kill_at > 0 && step == kill_at) kill(getpid(), SIGKILL);
}

// Around `call`, an operation on `path`.
#define AROUND(path, failing, counted, call)    \
  do {                                          \
    if (inside || !IsMeant(path)) return call;  \
    if (error_number > 0 && !fail_bytes && (failing)) { \
      errno = error_number;                     \
      return -1;                                \
    }                                           \
    if (!(counted)) return call;                \
    inside = 1;                                 \
    Step();                                     \
    const int result = call;                    \
    const int error = errno;                    \
    Step();                                     \
    inside = 0;                                 \
    errno = error;                              \
    return result;                              \
  } while (0)

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPENS(name)                                                                         \
  int name(const char* path, int flags, ...) {                                              \
    va_list list;                                                                           \
    va_start(list, flags);                                                                  \
    const mode_t mode = va_arg(list, mode_t);                                               \
    va_end(list);                                                                           \
    REAL(name);                                                                             \
    const int writes = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;                        \
    AROUND(path, fail_reads ? !writes : writes, (flags & O_CREAT) != 0, real(path, flags, mode)); \
  }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                                              \
  int name(int folder, const char* path, int flags, ...) {                                          \
    va_list list;                                                                                   \
    va_start(list, flags);                                                                          \
    const mode_t mode = va_arg(list, mode_t);                                                       \
    va_end(list);                                                                                   \
    REAL(name);                                                                                     \
    const int writes = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;                                \
    AROUND(path, fail_reads ? !writes : writes, (flags & O_CREAT) != 0, real(folder, path, flags, mode)); \
  }
OPENS_AT(openat)
OPENS_AT(openat64)

int rename(const char* from, const char* to) {
  REAL(rename);
  AROUND(to, !fail_reads, 1, real(from, to));
}
int renameat(int a, const char* from, int b, const char* to) {
  REAL(renameat);
  AROUND(to, !fail_reads, 1, real(a, from, b, to));
}
int link(const char* from, const char* to) {
  REAL(link);
  AROUND(to, !fail_reads, 1, real(from, to));
}
int linkat(int a, const char* from, int b, const char* to, int flags) {
  REAL(linkat);
  AROUND(to, !fail_reads, 1, real(a, from, b, to, flags));
}
int unlink(const char* path) {
  REAL(unlink);
  AROUND(path, !fail_reads, 1, real(path));
}
int unlinkat(int folder, const char* path, int flags) {
  REAL(unlinkat);
  AROUND(path, !fail_reads, 1, real(folder, path, flags));
}
int remove(const char* path) {
  REAL(remove);
  AROUND(path, !fail_reads, 1, real(path));
}
int mkdir(const char* path, mode_t mode) {
  REAL(mkdir);
  AROUND(path, !fail_reads, 1, real(path, mode));
}

// Whether bytes may not be written to `file`.
static int IsFull(int file) {
  if (!fail_bytes || inside) return 0;
  char link[64];
  char path[4096];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", file);
  const ssize_t size = readlink(link, path, sizeof(path) - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return IsMeant(path);
}

#define TAKES_ROOM(type, name, file, parameters, arguments) \
  type name parameters {                                    \
    REAL(name);                                             \
    if (IsFull(file)) {                                     \
      errno = error_number;                                 \
      return -1;                                            \
    }                                                       \
    return real arguments;                                  \
  }
TAKES_ROOM(ssize_t, write, file, (int file, const void* from, size_t size), (file, from, size))
TAKES_ROOM(ssize_t, pwrite, file, (int file, const void* from, size_t size, off_t at), (file, from, size, at))
TAKES_ROOM(ssize_t, pwrite64, file, (int file, const void* from, size_t size, off64_t at), (file, from, size, at))
TAKES_ROOM(ssize_t, writev, file, (int file, const struct iovec* from, int count), (file, from, count))
TAKES_ROOM(ssize_t, pwritev, file, (int file, const struct iovec* from, int count, off_t at), (file, from, count, at))
TAKES_ROOM(int, fallocate, file, (int file, int mode, off_t at, off_t size), (file, mode, at, size))
TAKES_ROOM(ssize_t, copy_file_range, to, (int from, off64_t* a, int to, off64_t* b, size_t size, unsigned flags),
           (from, a, to, b, size, flags))

int clock_gettime(clockid_t which, struct timespec* out) {
  REAL(clock_gettime);
  const int result = real(which, out);
  if (which == CLOCK_REALTIME && clock_offset_s != NULL) out->tv_sec += *clock_offset_s;
  return result;
}
