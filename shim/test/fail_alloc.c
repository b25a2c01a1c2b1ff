/*
 * fail_alloc.c
 *		An allocator that fails when told to, in place of the C library's.
 *
 * Included by a unit test, or preloaded as a library: then WARDEN_FAIL_ALLOC
 * names a file with the counters, which the test maps as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct FailAlloc
{
	atomic_long countdown;		/* allocations until one fails; below 0: none */
	atomic_long all;			/* not 0: that one and all after it */
	atomic_long failed;
	atomic_long live;			/* blocks that are not freed yet */
} FailAlloc;

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *block);

static FailAlloc own_counters = {-1, 0, 0, 0};
static FailAlloc *fail_alloc = &own_counters;

#ifdef FAIL_ALLOC_PRELOADED
__attribute__((constructor))
static void
map_counters(void)
{
	const char *path = getenv("WARDEN_FAIL_ALLOC");
	int			fd = path != NULL ? open(path, O_RDWR) : -1;
	void	   *map = MAP_FAILED;

	if (fd >= 0)
		map = mmap(NULL, sizeof(FailAlloc), PROT_READ | PROT_WRITE, MAP_SHARED,
				   fd, 0);
	if (map != MAP_FAILED)
		fail_alloc = map;
	if (fd >= 0)
		close(fd);
}
#endif

static int
must_fail(void)
{
	long		left = atomic_load(&fail_alloc->countdown);

	if (left < 0)
		return 0;
	if (left > 0 || atomic_load(&fail_alloc->all) == 0)
		left = atomic_fetch_sub(&fail_alloc->countdown, 1);
	if (left != 0)
		return 0;
	atomic_fetch_add(&fail_alloc->failed, 1);
	errno = ENOMEM;
	return 1;
}

static void *
counted(void *block)
{
	if (block != NULL)
		atomic_fetch_add(&fail_alloc->live, 1);
	return block;
}

void *
malloc(size_t size)
{
	return must_fail() ? NULL : counted(__libc_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
	return must_fail() ? NULL : counted(__libc_calloc(count, size));
}

void *
realloc(void *block, size_t size)
{
	if (must_fail())
		return NULL;
	if (block == NULL)
		return counted(__libc_malloc(size));
	return __libc_realloc(block, size);
}

void *
memalign(size_t alignment, size_t size)
{
	return must_fail() ? NULL : counted(__libc_memalign(alignment, size));
}

void *
aligned_alloc(size_t alignment, size_t size)
{
	return memalign(alignment, size);
}

int
posix_memalign(void **block, size_t alignment, size_t size)
{
	*block = memalign(alignment, size);
	return *block != NULL ? 0 : ENOMEM;
}

void
free(void *block)
{
	int			saved = errno;

	if (block != NULL)
		atomic_fetch_sub(&fail_alloc->live, 1);
	__libc_free(block);
	errno = saved;
}
