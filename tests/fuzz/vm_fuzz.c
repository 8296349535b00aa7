// SPDX-License-Identifier: GPL-2.0
/*
 * Random programs of system calls, led by coverage: for the virtual machine with
 * the debug kernel, whose KCOV tells which edges of our modules a program took.
 *
 *	vm_fuzz [-t seconds] [-n programs] [-s seed] [-o dir] [corpus dir]
 *	vm_fuzz -r file...		run these and nothing else
 *
 * One table describes every call. A program is a list of calls of 8 bytes: which
 * one, thread and fault, six arguments. What an argument means stands in the
 * table: one of a few IDs, a place in a small IOVA space or a small arena, a
 * descriptor. So each byte string is a program, and programs meet each other's
 * objects. IDs and descriptors that calls give take the places of older ones.
 *
 * A program is run by a process of its own, with two threads. Programs that take
 * a new edge are kept, and changed to get the next. After each one the kernel
 * must not be tainted, and the process must have been killable; otherwise the
 * program is left in the output directory and printed as text.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "../kselftest/group_utils.h"
#include "../kselftest/mock_utils.h"

#define KCOV_INIT	_IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)
#define KCOV_TRACE_PC	0
#define KCOV_PCS	(64 << 10)

#define NR_FDS		8
#define NR_IDS		8
#define ARENA		(64 * PAGE)
#define MAX_CALLS	48
#define MAX_CORPUS	2048
#define EDGES		(1 << 16)

enum { IOMMU, DEVICE, GROUP, CONTAINER, FILE_FD, SPARE };

enum kind { END, ID, SMALL, FLAGS, IOVA, BYTES, VA, POINTER, FD, CONSTANT };
enum gives { NOTHING, AN_ID, AN_FD, RETURNS_FD };

struct field {
	unsigned char offset, width, kind;
	unsigned int constant;
};

struct description {
	const char *name;
	unsigned long cmd;
	unsigned char fd, size, gives, out;
	struct field fields[8];
	void (*run)(const unsigned char *args);
};

struct call {
	unsigned char what, how, args[6];
};

struct program {
	unsigned int nr;
	struct call calls[MAX_CALLS];
};

struct shared {
	unsigned long calls, ok, by_errno[134];
	unsigned char worked[256];
};

static char bdf[16], device_path[64], group_path[64];
static unsigned char *arena;
static int fds[NR_FDS];
static uint32_t ids[NR_IDS];
static unsigned int next_id, next_fd;
static struct shared *shared;
static unsigned long *cover[2];
static int kcov[2];
static const struct program *current;

/* ---- calls that are not ioctls ---- */

static unsigned char *place(unsigned char arg)
{
	return arena + arg % 64 * PAGE;
}

static size_t extent(unsigned char arg)
{
	return (1 + arg % 8) * PAGE;
}

static void run_mmap(const unsigned char *args)
{
	bool of_file = args[2] & 1;

	mmap(place(args[0]), extent(args[1]),
	     args[2] & 2 ? PROT_READ : PROT_READ | PROT_WRITE,
	     MAP_FIXED | (of_file ? args[2] & 4 ? MAP_PRIVATE : MAP_SHARED :
				    MAP_PRIVATE | MAP_ANONYMOUS),
	     of_file ? fds[FILE_FD] : -1, of_file ? args[3] % 16 * PAGE : 0);
}

static void run_munmap(const unsigned char *args)
{
	munmap(place(args[0]), extent(args[1]));
}

static void run_mremap(const unsigned char *args)
{
	size_t length = extent(args[1]);

	mremap(place(args[0]), length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
	       place(args[2]));
}

static void run_madvise(const unsigned char *args)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_HUGEPAGE, MADV_DONTFORK, MADV_REMOVE,
		MADV_FREE, MADV_DOFORK, MADV_WILLNEED, MADV_NOHUGEPAGE,
	};

	madvise(place(args[0]), extent(args[1]), advice[args[2] % 8]);
}

static void run_mprotect(const unsigned char *args)
{
	mprotect(place(args[0]), extent(args[1]), args[2] % 4);
}

static void run_mlock(const unsigned char *args)
{
	if (args[2] & 1)
		mlock(place(args[0]), extent(args[1]));
	else
		munlock(place(args[0]), extent(args[1]));
}

static void run_fork(const unsigned char *args)
{
	pid_t pid = fork();

	if (!pid) {
		if (args[0] & 1)
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	if (pid > 0 && !(args[0] & 2))
		waitpid(pid, NULL, 0);
}

static void run_truncate(const unsigned char *args)
{
	if (ftruncate(fds[FILE_FD], args[0] % 17 * PAGE))
		return;
}

static void set_fd(unsigned int nr, int fd)
{
	if (fd < 0)
		return;
	if (fds[nr] >= 0)
		close(fds[nr]);
	fds[nr] = fd;
}

static void run_open(const unsigned char *args)
{
	switch (args[0] % 4) {
	case 0:
		set_fd(IOMMU, iommufd_open());
		break;
	case 1:
		set_fd(DEVICE, open(device_path, O_RDWR | O_CLOEXEC));
		break;
	case 2:
		set_fd(GROUP, open(group_path, O_RDWR | O_CLOEXEC));
		break;
	case 3:
		set_fd(CONTAINER, open(args[1] & 1 ? "/dev/iommu" :
				       "/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
		break;
	}
}

static void run_close(const unsigned char *args)
{
	unsigned int nr = args[0] % NR_FDS;

	if (nr != FILE_FD && fds[nr] >= 0) {
		close(fds[nr]);
		fds[nr] = -1;
	}
}

static void run_fdinfo(const unsigned char *args)
{
	char path[64], text[1024];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
		 fds[args[0] % NR_FDS]);
	fd = open(path, O_RDONLY);
	while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
}

static void run_device_rw(const unsigned char *args)
{
	char data[8];
	off_t at = ((off_t)(args[0] % 10) << 40) + args[1];

	if (pread(fds[DEVICE], data, 1 + args[2] % 8, at) < 0)
		return;
}

/* ---- the table ---- */

#define F(type, field, kind) \
	{ offsetof(struct type, field), sizeof(((struct type *)0)->field), kind }
#define C(type, field, value) \
	{ offsetof(struct type, field), sizeof(((struct type *)0)->field), \
	  CONSTANT, value }
#define IOCTL(cmd, type, fd, gives, out, ...) \
	{ #cmd, cmd, fd, sizeof(struct type), gives, out, { __VA_ARGS__ } }
/* Not by way of IOCTL(), which would get the number for a name. */
#define CORE(cmd, type, ...) \
	{ #cmd, cmd, IOMMU, sizeof(struct type), NOTHING, 0, { __VA_ARGS__ } }
#define CORE_ID(cmd, type, out, ...) \
	{ #cmd, cmd, IOMMU, sizeof(struct type), AN_ID, \
	  offsetof(struct type, out), { __VA_ARGS__ } }
#define MOCK(which, gives, out, ...)					\
	{ #which, IOMMU_TEST_CMD, IOMMU, sizeof(struct iommu_test_cmd), gives, \
	  offsetof(struct iommu_test_cmd, out),				\
	  { C(iommu_test_cmd, op, IOMMU_TEST_OP_##which), __VA_ARGS__ } }
#define M(field, kind)	F(iommu_test_cmd, field, kind)
#define PLAIN(what, function)	{ what, .run = function }
#define VALUE(cmd, fd)	{ #cmd, cmd, fd, .gives = NOTHING, .size = 0 }

static const struct description table[] = {
	CORE(IOMMU_DESTROY, iommu_destroy, F(iommu_destroy, id, ID)),
	CORE_ID(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, out_ioas_id),
	CORE(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas,
	     F(iommu_ioas_allow_iovas, ioas_id, ID),
	     F(iommu_ioas_allow_iovas, num_iovas, SMALL),
	     F(iommu_ioas_allow_iovas, allowed_iovas, POINTER)),
	CORE(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges,
	     F(iommu_ioas_iova_ranges, ioas_id, ID),
	     F(iommu_ioas_iova_ranges, num_iovas, SMALL),
	     F(iommu_ioas_iova_ranges, allowed_iovas, POINTER)),
	CORE(IOMMU_IOAS_MAP, iommu_ioas_map,
	     F(iommu_ioas_map, flags, FLAGS), F(iommu_ioas_map, ioas_id, ID),
	     F(iommu_ioas_map, user_va, VA), F(iommu_ioas_map, length, BYTES),
	     F(iommu_ioas_map, iova, IOVA)),
	CORE(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file,
	     F(iommu_ioas_map_file, flags, FLAGS),
	     F(iommu_ioas_map_file, ioas_id, ID),
	     F(iommu_ioas_map_file, fd, FD),
	     F(iommu_ioas_map_file, length, BYTES),
	     F(iommu_ioas_map_file, iova, IOVA),
	     F(iommu_ioas_map_file, start, BYTES)),
	CORE(IOMMU_IOAS_COPY, iommu_ioas_copy,
	     F(iommu_ioas_copy, flags, FLAGS),
	     F(iommu_ioas_copy, dst_ioas_id, ID),
	     F(iommu_ioas_copy, src_ioas_id, ID),
	     F(iommu_ioas_copy, length, BYTES),
	     F(iommu_ioas_copy, dst_iova, IOVA),
	     F(iommu_ioas_copy, src_iova, IOVA)),
	CORE(IOMMU_IOAS_UNMAP, iommu_ioas_unmap,
	     F(iommu_ioas_unmap, ioas_id, ID), F(iommu_ioas_unmap, iova, IOVA),
	     F(iommu_ioas_unmap, length, BYTES)),
	CORE(IOMMU_OPTION, iommu_option, F(iommu_option, option_id, SMALL),
	     F(iommu_option, op, SMALL), F(iommu_option, object_id, ID),
	     F(iommu_option, val64, SMALL)),
	CORE(IOMMU_VFIO_IOAS, iommu_vfio_ioas, F(iommu_vfio_ioas, ioas_id, ID),
	     F(iommu_vfio_ioas, op, SMALL)),
	CORE_ID(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, out_hwpt_id,
		F(iommu_hwpt_alloc, dev_id, ID), F(iommu_hwpt_alloc, pt_id, ID)),
	CORE(IOMMU_GET_HW_INFO, iommu_hw_info, F(iommu_hw_info, dev_id, ID),
	     F(iommu_hw_info, data_len, SMALL),
	     F(iommu_hw_info, data_uptr, POINTER)),
	CORE(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process),

	MOCK(ADD_RESERVED, NOTHING, op, M(id, ID),
	     M(add_reserved.start, IOVA), M(add_reserved.length, BYTES)),
	MOCK(MOCK_DOMAIN, AN_ID, mock_domain.out_stdev_id, M(id, ID)),
	MOCK(LOCAL_DEVICE, AN_ID, local_device.out_stdev_id, M(id, ID),
	     M(local_device.unit, SMALL), M(local_device.reserved_type, SMALL),
	     M(local_device.reserved_start, IOVA)),
	MOCK(MD_CHECK_MAP, NOTHING, op, M(id, ID), M(check_map.iova, IOVA),
	     M(check_map.length, BYTES), M(check_map.uptr, VA)),
	MOCK(CREATE_ACCESS, AN_FD, create_access.out_fd, M(id, ID),
	     M(create_access.flags, SMALL)),
	MOCK(DESTROY_ACCESS_PAGES, NOTHING, op, M(id, FD),
	     M(destroy_access_pages.pages_id, ID)),
	MOCK(ACCESS_PAGES, AN_ID, access_pages.out_pages_id, M(id, FD),
	     M(access_pages.flags, FLAGS), M(access_pages.iova, IOVA),
	     M(access_pages.length, BYTES), M(access_pages.uptr, VA)),
	MOCK(ACCESS_RW, NOTHING, op, M(id, FD), M(access_rw.iova, IOVA),
	     M(access_rw.length, BYTES), M(access_rw.uptr, VA),
	     M(access_rw.flags, FLAGS)),
	MOCK(SET_TEMP_MEMORY_LIMIT, NOTHING, op, M(memory_limit.limit, BYTES)),
	MOCK(MOCK_DOMAIN_REPLACE, NOTHING, op, M(id, ID),
	     M(mock_domain_replace.pt_id, ID)),
	MOCK(ACCESS_REPLACE_IOAS, NOTHING, op, M(id, FD),
	     M(access_replace_ioas.ioas_id, ID)),
	MOCK(LOCAL_FAIL_ATTACH, NOTHING, op, M(local_fail_attach.nr, SMALL),
	     M(local_fail_attach.times, SMALL)),

	IOCTL(VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, DEVICE, AN_ID,
	      offsetof(struct vfio_device_bind_iommufd, out_devid),
	      F(vfio_device_bind_iommufd, iommufd, FD)),
	IOCTL(VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt,
	      DEVICE, AN_ID,
	      offsetof(struct vfio_device_attach_iommufd_pt, pt_id),
	      F(vfio_device_attach_iommufd_pt, pt_id, ID)),
	IOCTL(VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt,
	      DEVICE, NOTHING, 0),
	IOCTL(VFIO_DEVICE_GET_INFO, vfio_device_info, DEVICE, NOTHING, 0),
	IOCTL(VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, DEVICE, NOTHING, 0,
	      F(vfio_region_info, index, SMALL)),
	IOCTL(VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, DEVICE, NOTHING, 0,
	      F(vfio_irq_info, index, SMALL)),
	IOCTL(VFIO_DEVICE_SET_IRQS, vfio_irq_set, DEVICE, NOTHING, 0,
	      F(vfio_irq_set, flags, SMALL), F(vfio_irq_set, index, SMALL),
	      F(vfio_irq_set, start, SMALL), F(vfio_irq_set, count, SMALL)),
	IOCTL(VFIO_DEVICE_FEATURE, vfio_device_feature, DEVICE, NOTHING, 0,
	      F(vfio_device_feature, flags, SMALL)),
	VALUE(VFIO_DEVICE_RESET, DEVICE),

	IOCTL(VFIO_GROUP_GET_STATUS, vfio_group_status, GROUP, NOTHING, 0),
	{ "VFIO_GROUP_SET_CONTAINER", VFIO_GROUP_SET_CONTAINER, GROUP, 4,
	  NOTHING, 0, { { 0, 4, FD } } },
	VALUE(VFIO_GROUP_UNSET_CONTAINER, GROUP),
	{ "VFIO_GROUP_GET_DEVICE_FD", VFIO_GROUP_GET_DEVICE_FD, GROUP, 16,
	  RETURNS_FD, 0 },

	VALUE(VFIO_GET_API_VERSION, CONTAINER),
	VALUE(VFIO_CHECK_EXTENSION, CONTAINER),
	VALUE(VFIO_SET_IOMMU, CONTAINER),
	IOCTL(VFIO_IOMMU_GET_INFO, vfio_iommu_type1_info, CONTAINER, NOTHING, 0),
	IOCTL(VFIO_IOMMU_MAP_DMA, vfio_iommu_type1_dma_map, CONTAINER, NOTHING, 0,
	      F(vfio_iommu_type1_dma_map, flags, SMALL),
	      F(vfio_iommu_type1_dma_map, vaddr, VA),
	      F(vfio_iommu_type1_dma_map, iova, IOVA),
	      F(vfio_iommu_type1_dma_map, size, BYTES)),
	IOCTL(VFIO_IOMMU_UNMAP_DMA, vfio_iommu_type1_dma_unmap, CONTAINER,
	      NOTHING, 0, F(vfio_iommu_type1_dma_unmap, flags, SMALL),
	      F(vfio_iommu_type1_dma_unmap, iova, IOVA),
	      F(vfio_iommu_type1_dma_unmap, size, BYTES)),

	PLAIN("mmap", run_mmap), PLAIN("munmap", run_munmap),
	PLAIN("mremap", run_mremap), PLAIN("madvise", run_madvise),
	PLAIN("mprotect", run_mprotect), PLAIN("mlock", run_mlock),
	PLAIN("fork", run_fork), PLAIN("ftruncate", run_truncate),
	PLAIN("open", run_open), PLAIN("close", run_close),
	PLAIN("fdinfo", run_fdinfo), PLAIN("device read", run_device_rw),
};

#define NR_TABLE	(sizeof(table) / sizeof(table[0]))

/* ---- what arguments mean ---- */

static uint64_t argument(const struct field *field, unsigned char arg)
{
	static const uint64_t lengths[] = {
		PAGE, 2 * PAGE, 4 * PAGE, 16 * PAGE, HALF, 3 * HALF, 1, 0,
		64 * PAGE, 2 * MiB, 16, 7 * PAGE, UINT64_MAX, 1UL << 40, 65536,
		PAGE - 1,
	};

	switch (field->kind) {
	case ID:
		return arg < 248 ? ids[arg % NR_IDS] : arg;
	case SMALL:
		return arg < 248 ? arg % 24 : UINT32_MAX - arg;
	case FLAGS:
		return arg < 240 ? arg % 8 : (1UL << (arg % 16)) | (arg << 16);
	case IOVA:
		if (arg >= 240)
			return arg == 240 ? 0 : -(uint64_t)(arg - 240) * HALF;
		return BASE + (arg < 192 ? arg % 48 * PAGE : arg % 48 * HALF);
	case BYTES:
		return lengths[arg < 192 ? arg % 8 : arg % 16];
	case VA:
		return (uintptr_t)arena + (arg < 192 ? arg % 64 * PAGE :
					   arg % 64 * HALF);
	case POINTER:
		return arg < 240 ? (uintptr_t)arena + arg % 64 * PAGE : arg;
	case FD:
		return fds[arg % NR_FDS];
	case CONSTANT:
		return field->constant;
	}
	return 0;
}

static long ioctl_run(const struct description *d, const unsigned char *args)
{
	unsigned char data[256] = { 0 };
	const struct field *field;
	uint32_t size = d->size, value;
	unsigned int i = 0;
	long rc;

	if (!d->size) {
		rc = ioctl(fds[d->fd], d->cmd, args[0] % 16);
		goto out;
	}
	memcpy(data, &size, 4);
	for (field = d->fields; field->kind; field++) {
		uint64_t v = argument(field, args[i % 6]);

		memcpy(data + field->offset, &v, field->width);
		i += field->kind != CONSTANT;
	}
	if (d->gives == RETURNS_FD)
		memcpy(data, bdf, sizeof(bdf));
	else if (args[5] == 0xff)
		memset(data, args[4], 4);	/* a wrong size, for once */
	rc = ioctl(fds[d->fd], d->cmd, data);
out:
	shared->calls++;
	if (rc < 0) {
		if (errno < 134)
			shared->by_errno[errno]++;
		return rc;
	}
	shared->ok++;
	shared->worked[d - table] = 1;
	memcpy(&value, data + d->out, 4);
	if (d->gives == AN_ID) {
		ids[next_id++ % NR_IDS] = value;
		/* A fake device comes with a table and a device to name. */
		if (d->out == offsetof(struct iommu_test_cmd,
				       mock_domain.out_stdev_id) &&
		    d->cmd == IOMMU_TEST_CMD) {
			memcpy(&ids[next_id++ % NR_IDS], data + d->out + 4, 4);
			memcpy(&ids[next_id++ % NR_IDS], data + d->out + 8, 4);
		}
	} else if (d->gives == RETURNS_FD) {
		set_fd(DEVICE, rc);
	} else if (d->gives == AN_FD) {
		set_fd(SPARE + next_fd++ % (NR_FDS - SPARE), value);
	}
	return rc;
}

static void fault(unsigned int nth)
{
	char text[16];
	int fd = open("/proc/thread-self/fail-nth", O_WRONLY);

	if (fd < 0)
		return;
	snprintf(text, sizeof(text), "%u", nth);
	if (write(fd, text, strlen(text)) < 0)
		text[0] = '\0';
	close(fd);
}

/* how: bit 0 the thread, from 0xc0 on the n-th allocation or copy fails */
static void *thread_run(void *arg)
{
	unsigned int nr = (uintptr_t)arg, i;

	if (kcov[nr] >= 0 && !ioctl(kcov[nr], KCOV_ENABLE, KCOV_TRACE_PC))
		__atomic_store_n(&cover[nr][0], 0, __ATOMIC_RELAXED);
	for (i = 0; i < current->nr; i++) {
		const struct call *call = &current->calls[i];
		const struct description *d = &table[call->what % NR_TABLE];

		if ((call->how & 1) != nr)
			continue;
		if (call->how >= 0xc0)
			fault(1 + (call->how >> 1) % 32);
		if (d->run)
			d->run(call->args);
		else
			ioctl_run(d, call->args);
		if (call->how >= 0xc0)
			fault(0);
	}
	return NULL;
}

static void child_run(void)
{
	pthread_t thread;
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGSEGV, SIG_DFL);
	for (i = 0; i < NR_FDS; i++)
		fds[i] = -1;
	fds[IOMMU] = iommufd_open();
	fds[FILE_FD] = memfd_create("fuzz", MFD_CLOEXEC);
	if (ftruncate(fds[FILE_FD], 16 * PAGE))
		_exit(1);
	ioas_alloc(fds[IOMMU], &ids[next_id++]);
	if (pthread_create(&thread, NULL, thread_run, (void *)1UL))
		_exit(1);
	thread_run(NULL);
	pthread_join(thread, NULL);
	_exit(0);
}

/* ---- running, and what it took ---- */

static unsigned char edges[EDGES / 8];
static unsigned int nr_edges;

static unsigned int new_edges(void)
{
	unsigned int t, found = 0;
	unsigned long i, n, pc, last, edge;

	for (t = 0; t < 2; t++) {
		if (kcov[t] < 0)
			continue;
		n = cover[t][0];
		for (i = 1, last = 0; i <= n && i < KCOV_PCS; i++) {
			pc = cover[t][i];
			edge = ((pc >> 1) ^ (last * 31)) % EDGES;
			last = pc;
			if (edges[edge / 8] & (1 << edge % 8))
				continue;
			edges[edge / 8] |= 1 << edge % 8;
			found++;
		}
		cover[t][0] = 0;
	}
	nr_edges += found;
	return found;
}

static long taint(void)
{
	char text[32] = "";
	int fd = open("/proc/sys/kernel/tainted", O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		text[0] = '\0';
	close(fd);
	return atol(text);
}

static bool ends(pid_t pid, int ms)
{
	struct pollfd fd = {
		.fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN,
	};
	int nr = poll(&fd, 1, ms);

	close(fd.fd);
	return nr == 1;
}

/* False: it could not be killed. */
static bool program_run(const struct program *program, unsigned int kill_after)
{
	pid_t pid;
	bool gone = true;

	current = program;
	pid = fork();
	if (!pid)
		child_run();
	if (pid < 0)
		return false;
	if (!ends(pid, kill_after ?: 3000)) {
		kill(pid, SIGKILL);
		gone = ends(pid, 120000);
	}
	if (gone)
		waitpid(pid, NULL, 0);
	return gone;
}

static void program_print(const struct program *program)
{
	unsigned int i;

	for (i = 0; i < program->nr; i++) {
		const struct call *c = &program->calls[i];

		printf("#   %u%s %s %u %u %u %u %u %u\n", c->how & 1,
		       c->how >= 0xc0 ? " with a fault" : "",
		       table[c->what % NR_TABLE].name, c->args[0], c->args[1],
		       c->args[2], c->args[3], c->args[4], c->args[5]);
	}
}

/* ---- programs ---- */

static struct program corpus[MAX_CORPUS];
static unsigned int nr_corpus;
static uint64_t rng;

static unsigned int below(unsigned int n)
{
	rng = rng * 6364136223846793005UL + 1442695040888963407UL;
	return (rng >> 33) % n;
}

static void call_random(struct call *call, bool faults)
{
	unsigned int i;

	call->what = below(NR_TABLE);
	call->how = below(faults && !below(6) ? 256 : 0xc0);
	for (i = 0; i < 6; i++)
		call->args[i] = below(8) ? below(32) : below(256);
}

/*
 * Chains that chance alone would not find: each call needs what those before it
 * gave. By name, and the first arguments.
 */
struct step {
	const char *name;
	unsigned char args[4];
};

#define NR_STEPS	8

static const struct step beginnings[][NR_STEPS] = {
	{
		{ "open", { 1 } },
		{ "VFIO_DEVICE_BIND_IOMMUFD", { IOMMU } },
		{ "VFIO_DEVICE_ATTACH_IOMMUFD_PT", { 0 } },
		{ "IOMMU_HWPT_ALLOC", { 1, 0 } },
		{ "IOMMU_GET_HW_INFO", { 1, 16 } },
	}, {
		{ "open", { 2 } },
		{ "open", { 3, 0 } },
		{ "VFIO_GROUP_SET_CONTAINER", { CONTAINER } },
		{ "VFIO_SET_IOMMU", { VFIO_TYPE1v2_IOMMU } },
		{ "VFIO_GROUP_GET_DEVICE_FD" },
		{ "VFIO_IOMMU_GET_INFO" },
		{ "VFIO_IOMMU_MAP_DMA", { 3, 8 } },
		{ "VFIO_DEVICE_GET_INFO" },
	}, {
		{ "open", { 2 } },
		{ "open", { 3, 1 } },
		{ "VFIO_GROUP_SET_CONTAINER", { IOMMU } },
		{ "VFIO_GROUP_GET_DEVICE_FD" },
		{ "IOMMU_IOAS_ALLOC" },
	}, {
		{ "MOCK_DOMAIN", { 0 } },
		{ "IOMMU_HWPT_ALLOC", { 3, 0 } },
		{ "CREATE_ACCESS", { 0, 1 } },
		{ "MOCK_DOMAIN", { 0 } },
	}, {
		{ "IOMMU_IOAS_MAP", { 7, 0, 0, 1 } },
		{ "IOMMU_IOAS_ALLOC" },
		{ "IOMMU_IOAS_COPY", { 7, 1, 0, 0 } },
		{ "CREATE_ACCESS", { 0, 1 } },
		{ "ACCESS_PAGES", { SPARE, 0, 0, 0 } },
		{ "ACCESS_RW", { SPARE, 0, 0, 0 } },
		{ "DESTROY_ACCESS_PAGES", { SPARE, 2 } },
		{ "IOMMU_IOAS_UNMAP", { 1, 0, 0 } },
	},
};

static unsigned int find_call(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_TABLE; i++)
		if (!strcmp(table[i].name, name))
			return i;
	fprintf(stderr, "no call %s in the table\n", name);
	exit(2);
}

static void program_random(struct program *p, bool faults)
{
	unsigned int nr = sizeof(beginnings) / sizeof(beginnings[0]);
	unsigned int which = below(2 * nr), more = 8 + below(24), i;

	memset(p, 0, sizeof(*p));
	for (i = 0; which < nr && i < NR_STEPS && beginnings[which][i].name; i++) {
		struct call *call = &p->calls[p->nr++];

		call->what = find_call(beginnings[which][i].name);
		memcpy(call->args, beginnings[which][i].args, 4);
	}
	while (more--)
		call_random(&p->calls[p->nr++], faults);
}

static void program_change(struct program *p, bool faults)
{
	unsigned int n = 1 + below(4), at;
	const struct program *other;

	while (n--) {
		at = p->nr ? below(p->nr) : 0;
		switch (below(6)) {
		case 0:
		case 1:
			if (p->nr == MAX_CALLS)
				break;
			memmove(&p->calls[at + 1], &p->calls[at],
				(p->nr - at) * sizeof(p->calls[0]));
			call_random(&p->calls[at], faults);
			p->nr++;
			break;
		case 2:
			if (p->nr < 2)
				break;
			p->nr--;
			memmove(&p->calls[at], &p->calls[at + 1],
				(p->nr - at) * sizeof(p->calls[0]));
			break;
		case 3:
			other = &corpus[below(nr_corpus)];
			while (p->nr < MAX_CALLS && at < other->nr)
				p->calls[p->nr++] = other->calls[at++];
			break;
		default:
			if (p->nr)
				p->calls[at].args[below(6)] =
					below(2) ? below(32) : below(256);
			break;
		}
	}
}

static bool program_load(struct program *p, const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t got = fd < 0 ? -1 : read(fd, p->calls, sizeof(p->calls));

	close(fd);
	p->nr = got > 0 ? got / sizeof(p->calls[0]) : 0;
	return p->nr;
}

static void program_save(const struct program *p, const char *dir,
			 const char *name, unsigned long nr)
{
	char path[4096];
	int fd;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s-%05lu", dir, name, nr);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, p->calls, p->nr * sizeof(p->calls[0])) < 0)
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
	close(fd);
}

/* ---- all together ---- */

/* QEMU's edu device, given to vfio-pci, if there is one. */
static void find_device(void)
{
	if (edu_path(0, device_path) || pci_find("0x1234", "0x11e8", 0, bdf) ||
	    pci_group_path(bdf, group_path))
		bdf[0] = '\0';
}

static void kcov_begin(unsigned int nr)
{
	kcov[nr] = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov[nr] < 0 || ioctl(kcov[nr], KCOV_INIT, KCOV_PCS))
		goto err;
	cover[nr] = mmap(NULL, KCOV_PCS * sizeof(long), PROT_READ | PROT_WRITE,
			 MAP_SHARED, kcov[nr], 0);
	if (cover[nr] != MAP_FAILED)
		return;
err:
	printf("# no coverage: %s\n", strerror(errno));
	kcov[nr] = -1;
}

static void summary(unsigned long programs, long seconds)
{
	unsigned int i, worked = 0, ioctls = 0;

	for (i = 0; i < NR_TABLE; i++) {
		ioctls += !table[i].run;
		worked += !table[i].run && shared->worked[i];
	}
	printf("# %ld s: %lu programs, %lu ioctls, %lu succeeded, %u of %u kinds did; %u edges, %u programs kept\n",
	       seconds, programs, shared->calls, shared->ok, worked, ioctls,
	       nr_edges, nr_corpus);
}

int main(int argc, char **argv)
{
	unsigned long n, programs = ~0UL;
	const char *out = NULL;
	struct program program;
	bool repeat = false, ok = true;
	long seconds = 60, before;
	time_t start, told;
	unsigned int i, found, nr_loaded;
	int c;

	rng = time(NULL);
	while ((c = getopt(argc, argv, "t:n:s:o:r")) != -1) {
		switch (c) {
		case 't':
			seconds = atol(optarg);
			break;
		case 'n':
			programs = strtoul(optarg, NULL, 0);
			break;
		case 's':
			rng = strtoul(optarg, NULL, 0);
			break;
		case 'o':
			out = optarg;
			break;
		case 'r':
			repeat = true;
			break;
		default:
			return 2;
		}
	}
	setlinebuf(stdout);
	find_device();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	arena = mmap((void *)0x20000000, ARENA, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || arena == MAP_FAILED)
		return 2;
	memset(arena, 0x5a, ARENA);
	/* Two ranges for ALLOW_IOVAS, at the start of each page */
	for (i = 0; i < 64; i++)
		memcpy(arena + i * PAGE,
		       (uint64_t[]){ BASE, BASE + MiB - 1, BASE + 2 * MiB,
				     BASE + 3 * MiB - 1 }, 32);
	kcov_begin(0);
	kcov_begin(1);
	before = taint();
	start = time(NULL);
	told = start;
	printf("TAP version 13\n1..1\n# seed %#lx, device %s\n",
	       (unsigned long)rng, bdf[0] ? bdf : "none");

	if (!repeat && optind < argc) {
		struct dirent *entry;
		DIR *dir = opendir(argv[optind]);
		char path[4096];

		while (dir && (entry = readdir(dir)) && nr_corpus < MAX_CORPUS) {
			snprintf(path, sizeof(path), "%s/%s", argv[optind],
				 entry->d_name);
			if (entry->d_name[0] != '.' &&
			    program_load(&corpus[nr_corpus], path))
				nr_corpus++;
		}
		if (dir)
			closedir(dir);
	}
	nr_loaded = nr_corpus;
	for (n = 0; n < programs; n++) {
		bool faults = n % 4 == 3;
		unsigned int kill_after = 0;

		if (repeat) {
			if (optind + n >= argc)
				break;
			if (!program_load(&program, argv[optind + n]))
				return 2;
		} else if (time(NULL) - start >= seconds) {
			break;
		} else if (n < nr_loaded) {
			program = corpus[n];
		} else if (nr_corpus && below(8)) {
			program = corpus[below(nr_corpus)];
			program_change(&program, faults);
		} else {
			program_random(&program, faults);
		}
		if (!repeat && !below(16))
			kill_after = 1 + below(30);
		if (!program_run(&program, kill_after)) {
			printf("# cannot be killed:\n");
			ok = false;
		}
		found = new_edges();
		if (found && !repeat && nr_corpus < MAX_CORPUS && n >= nr_loaded) {
			corpus[nr_corpus++] = program;
			program_save(&program, out, "kept", nr_corpus);
		}
		if (taint() != before) {
			printf("# taints the kernel (%ld):\n", taint());
			ok = false;
		}
		if (!ok) {
			program_print(&program);
			program_save(&program, out, "crash", n);
			break;
		}
		if (time(NULL) - told >= 15) {
			told = time(NULL);
			summary(n + 1, told - start);
		}
	}
	summary(n, time(NULL) - start);
	for (i = 0; i < NR_TABLE; i++)
		if (!table[i].run && !shared->worked[i])
			printf("# never succeeded: %s\n", table[i].name);
	printf("%sok 1 random programs of calls\n", ok ? "" : "not ");
	return !ok;
}
