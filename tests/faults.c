/* A file system that fails now and then, for LD_PRELOAD; tests/faults.py sets the variables.

FLOCK_ERRNO=37: flock fails with this errno, as on a file system without locks.
FAULTS_PATH=/path FAULTS_EVERY=25 FAULTS_ERRNO=116: every 25th open, read, write, fsync or rename of
a path that begins so fails with this errno. Standard input and outputs never do. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long setting(const char *name) {
  const char *text = getenv(name);
  return text ? atol(text) : 0;
}

static int path_fails(const char *path) {
  static atomic_long calls;
  const char *begin = getenv("FAULTS_PATH");
  long every = setting("FAULTS_EVERY");
  if (!begin || every < 1 || strncmp(path, begin, strlen(begin))) return 0;
  if (atomic_fetch_add(&calls, 1) % every != every - 1) return 0;
  errno = (int)setting("FAULTS_ERRNO");
  return 1;
}

static int file_fails(int file) {
  char link[64], path[PATH_MAX];
  if (file <= 2) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = 0;
  return path_fails(path);
}

int flock(int file, int operation) {
  int number = (int)setting("FLOCK_ERRNO");
  if (!number) return REAL(flock)(file, operation);
  errno = number;
  return -1;
}

#define OPEN(name)                                        \
  int name(const char *path, int flags, ...) {            \
    va_list rest;                                         \
    va_start(rest, flags);                                \
    unsigned mode = va_arg(rest, unsigned);               \
    va_end(rest);                                         \
    return path_fails(path) ? -1 : REAL(name)(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define ON_FILE(type, name, parameters, arguments) \
  type name parameters { return file_fails(file) ? -1 : REAL(name) arguments; }
ON_FILE(ssize_t, read, (int file, void *to, size_t size), (file, to, size))
ON_FILE(ssize_t, pread, (int file, void *to, size_t size, off_t at), (file, to, size, at))
ON_FILE(ssize_t, pread64, (int file, void *to, size_t size, off64_t at), (file, to, size, at))
ON_FILE(ssize_t, preadv, (int file, const struct iovec *to, int n, off_t at), (file, to, n, at))
ON_FILE(ssize_t, preadv64, (int file, const struct iovec *to, int n, off64_t at), (file, to, n, at))
ON_FILE(ssize_t, preadv2, (int file, const struct iovec *to, int n, off_t at, int flags),
        (file, to, n, at, flags))
ON_FILE(ssize_t, preadv64v2, (int file, const struct iovec *to, int n, off64_t at, int flags),
        (file, to, n, at, flags))
ON_FILE(ssize_t, write, (int file, const void *from, size_t size), (file, from, size))
ON_FILE(int, fsync, (int file), (file))

int rename(const char *from, const char *to) {
  return path_fails(to) ? -1 : REAL(rename)(from, to);
}

/* TensorFlow writes events through C's streams. It ignores errors of fwrite. */
#define FOPEN(name) \
  FILE *name(const char *path, const char *mode) { \
    return path_fails(path) ? NULL : REAL(name)(path, mode); \
  }
FOPEN(fopen)
FOPEN(fopen64)

int fflush(FILE *stream) {
  return stream && file_fails(fileno(stream)) ? EOF : REAL(fflush)(stream);
}
