// SPDX-License-Identifier: GPL-2.0
/*
 * The table of all calls, what their arguments mean, and doing one.
 *
 * An argument of a call is a byte. What it means stands in the table: one of the
 * last IDs of a kind, a place in a small IOVA space or in a small arena, a
 * descriptor, ... so that programs meet their own objects and each other's. IDs and
 * descriptors that calls give take the places of older ones. Files come in pairs
 * ("second"): two contexts, two devices, two groups. Most calls are aimed: what their
 * bytes mean is changed, when they are made, to what meets what is there (vm_aim.c).
 *
 * Three bytes in the last argument make the structure itself wrong: 255 its size,
 * 254 longer than we know, 253 its address.
 */
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "../kselftest/group_utils.h"
#include "../kselftest/mock_utils.h"
#include "vm.h"

#define NR_CHILDREN	8U
#define ROOM		256U

/* Or an ID of a class */
enum meaning {
	END, PT = NR_CLASSES, ANY,
	SMALL, BITS, FLAGS, IRQ_FLAGS, IOVA, BYTES, VA, POINTER, FD, CONSTANT, FEATURE,
};

enum gives { NOTHING, AN_FD, RETURNS_FD };

struct field {
	unsigned char offset, width, meaning;
	unsigned int constant;
	const char *name;
};

struct kind {
	const char *name;
	unsigned long cmd;
	unsigned char weight, slot, size, gives, out, what;
	bool refused;
	struct field fields[9];
	long (*run)(const unsigned char *args, unsigned int second);
};

static unsigned char *const arena = (void *)ARENA_ADDRESS;
static unsigned char *const big = (void *)BIG_ADDRESS;
static unsigned char data[4][PAGE] __attribute__((aligned(4096)));
static struct fuzz_device devices[2];
static int fds[NR_SLOTS][2];
static unsigned int next_fd[NR_SLOTS];
static pid_t children[NR_CHILDREN];
static unsigned int next_child;
static bool big_used, file_changed, is_child;
static const struct program *running;
static unsigned int running_at;

/* ---- files ---- */

static long set_fd(unsigned int slot, unsigned int second, int fd)
{
	int old;

	if (fd < 0)
		return -errno;
	old = __atomic_exchange_n(&fds[slot][second & 1], fd, __ATOMIC_RELAXED);
	if (old >= 0) {
		aim_closed(slot, second & 1);
		close(old);
	}
	return 0;
}

int get_fd(unsigned int slot, unsigned int second)
{
	return __atomic_load_n(&fds[slot][second & 1], __ATOMIC_RELAXED);
}

static long or_errno(long rc)
{
	return rc < 0 ? -errno : rc;
}

/* ---- calls that are no ioctls ---- */

static unsigned char *place(unsigned char arg)
{
	if (arg >= 0xf0) {
		big_used = true;
		return big + arg % 16 * 32 * PAGE;
	}
	return arena + arg % NR_ARENA * PAGE;
}

/* Never out of what is ours */
static size_t extent(unsigned char at, unsigned char arg)
{
	size_t length = (1 + arg % 8) * PAGE;

	if (at < 0xf0 && at % NR_ARENA * PAGE + length > NR_ARENA * PAGE)
		length = (NR_ARENA - at % NR_ARENA) * PAGE;
	return length;
}

static long run_mmap(const unsigned char *args, unsigned int second)
{
	bool of_file = args[2] & 1;
	void *p;

	p = mmap(place(args[0]), extent(args[0], args[1]),
		 args[2] & 2 ? PROT_READ : PROT_READ | PROT_WRITE,
		 MAP_FIXED | (of_file ? args[2] & 4 ? MAP_PRIVATE : MAP_SHARED :
			      MAP_PRIVATE | MAP_ANONYMOUS),
		 of_file ? get_fd(MEMFD, 0) : -1, of_file ? args[3] % 16 * PAGE : 0);
	return p == MAP_FAILED ? -errno : 0;
}

static long run_munmap(const unsigned char *args, unsigned int second)
{
	return or_errno(munmap(place(args[0]), extent(args[0], args[1])));
}

static long run_mremap(const unsigned char *args, unsigned int second)
{
	size_t length = extent(args[0], args[1]);

	if (extent(args[2], args[1]) < length)
		length = extent(args[2], args[1]);
	return mremap(place(args[0]), length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
		      place(args[2])) == MAP_FAILED ? -errno : 0;
}

static long run_madvise(const unsigned char *args, unsigned int second)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_HUGEPAGE, MADV_DONTFORK, MADV_REMOVE,
		MADV_FREE, MADV_DOFORK, MADV_WILLNEED, MADV_NOHUGEPAGE,
	};

	return or_errno(madvise(place(args[0]), extent(args[0], args[1]),
				advice[args[2] % 8]));
}

static long run_mprotect(const unsigned char *args, unsigned int second)
{
	return or_errno(mprotect(place(args[0]), extent(args[0], args[1]),
				 args[2] % 4));
}

static long run_mlock(const unsigned char *args, unsigned int second)
{
	size_t length = extent(args[0], args[1]);

	return or_errno(args[2] & 1 ? mlock(place(args[0]), length) :
				      munlock(place(args[0]), length));
}

static long run_truncate(const unsigned char *args, unsigned int second)
{
	file_changed = true;
	if (args[1] & 1)
		return or_errno(fallocate(get_fd(MEMFD, 0), FALLOC_FL_PUNCH_HOLE |
					  FALLOC_FL_KEEP_SIZE, args[0] % 16 * PAGE,
					  PAGE));
	return or_errno(ftruncate(get_fd(MEMFD, 0), args[0] % 17 * PAGE));
}

static long run_touch(const unsigned char *args, unsigned int second)
{
	size_t length = extent(args[0], args[1]);

	/* By way of the kernel, which does not mind that there is nothing. */
	return or_errno(pread(get_fd(MEMFD, 0), place(args[0]), length, 0));
}

/*
 * A child with copies of everything: it ends at once, or does the next calls too,
 * on the same files, or becomes another program that has inherited the files. It
 * is waited for, or killed before the next program.
 */
static void child_run(const unsigned char *args)
{
	char numbers[4][12], *argv[] = {
		"vm_fuzz", "-I", numbers[0], numbers[1], numbers[2], numbers[3], NULL,
	};
	unsigned int i, end = running_at + 8;

	is_child = true;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	switch (args[0] % 8) {
	case 0:
		kill(getpid(), SIGKILL);
		break;
	case 1:
	case 2:
	case 3:
	case 4:
		for (i = running_at + 1; i < running->nr && i < end; i++)
			call_run(&running->calls[i], running, i);
		if (args[0] & 64)
			pause();
		break;
	case 5:
		for (i = 0; i < 4; i++) {
			int fd = get_fd(i < 2 ? IOMMU : ACCESS, i);

			snprintf(numbers[i], sizeof(numbers[i]), "%d", fd);
			fcntl(fd, F_SETFD, 0);
		}
		execv("/proc/self/exe", argv);
		break;
	}
	_exit(0);
}

/* In the child of calls 5: files that came from elsewhere. */
void call_inherited(int argc, char **argv)
{
	unsigned int id;
	int i;

	for (i = 0; i < argc; i++) {
		int fd = atoi(argv[i]);

		if (fd < 3)
			continue;
		ioas_change_process(fd);
		ioas_alloc(fd, &id);
	}
}

static long run_fork(const unsigned char *args, unsigned int second)
{
	pid_t pid, old;

	if (is_child)
		return -EAGAIN;
	__atomic_fetch_add(&shared->forks, 1, __ATOMIC_RELAXED);
	pid = fork();
	if (!pid)
		child_run(args);
	if (pid < 0)
		return -errno;
	if (!(args[0] & 128) && args[0] % 8 != 5 && !(args[0] & 64)) {
		waitpid(pid, NULL, 0);
		return 0;
	}
	old = __atomic_exchange_n(&children[next_child++ % NR_CHILDREN], pid,
				  __ATOMIC_RELAXED);
	if (old > 0) {
		kill(old, SIGKILL);
		waitpid(old, NULL, 0);
	}
	return 0;
}

static long run_signal(const unsigned char *args, unsigned int second)
{
	kill(getpid(), SIGUSR1);
	return 0;
}

static long run_yield(const unsigned char *args, unsigned int second)
{
	struct timespec t = { .tv_nsec = args[0] % 4 * 10000 };

	return or_errno(t.tv_nsec ? nanosleep(&t, NULL) : sched_yield());
}

static long run_open(const unsigned char *args, unsigned int second)
{
	const struct fuzz_device *device = &devices[args[1] & 1];
	long rc;

	switch (args[0] % 8) {
	case 0:
		return set_fd(IOMMU, second, open("/dev/iommu", O_RDWR | O_CLOEXEC));
	case 1:
	case 2:
		return set_fd(DEVICE, second, open(device->file, O_RDWR | O_CLOEXEC));
	case 3:
	case 4:
		return set_fd(GROUP, second, open(device->group, O_RDWR | O_CLOEXEC));
	case 5:
		return set_fd(CONTAINER, second, open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));
	case 6:
		rc = dup(get_fd(IOMMU, second));
		return rc < 0 ? -errno : set_fd(CONTAINER, second, rc);
	default:
		return set_fd(EVENT, second, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	}
}

/* A machine's device for VFIO files, which keeps the machine */
static long run_kvm_open(const unsigned char *args, unsigned int second)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;
	long rc;

	if (kvm < 0)
		return -EBADF;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	rc = or_errno(vm < 0 ? vm : ioctl(vm, KVM_CREATE_DEVICE, &create));
	if (vm >= 0)
		close(vm);
	close(kvm);
	return rc ? rc : set_fd(KVM, second, create.fd);
}

static long run_kvm_vfio(const unsigned char *args, unsigned int second)
{
	static const unsigned char files[] = { DEVICE, GROUP, CONTAINER, IOMMU };
	int32_t file = get_fd(files[args[1] % 4], args[2]);
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = args[0] % 2 ? KVM_DEV_VFIO_GROUP_DEL : KVM_DEV_VFIO_GROUP_ADD,
		.addr = (uintptr_t)&file,
	};
	int fd = get_fd(KVM, second);

	return fd < 0 ? -EBADF : or_errno(ioctl(fd, KVM_SET_DEVICE_ATTR, &attr));
}

static long run_close(const unsigned char *args, unsigned int second)
{
	unsigned int slot = args[0] % NR_SLOTS;
	int fd;

	if (slot == MEMFD)
		return -EBADF;
	fd = __atomic_exchange_n(&fds[slot][second & 1], -1, __ATOMIC_RELAXED);
	if (fd < 0)
		return -EBADF;
	aim_closed(slot, second & 1);
	return or_errno(close(fd));
}

static long run_fdinfo(const unsigned char *args, unsigned int second)
{
	char path[64], text[1024];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
		 get_fd(args[0] % NR_SLOTS, second));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -EBADF;
	while (read(fd, text, sizeof(text)) > 0)
		;
	close(fd);
	return 0;
}

static long run_read(const unsigned char *args, unsigned int second)
{
	unsigned char buffer[8] = { args[3], args[4], args[5], args[6] };
	int fd = get_fd(DEVICE, second);
	off_t at = ((off_t)(args[0] % 10) << (args[0] & 64 ? 40 : 32)) + args[1];

	if (fd < 0)
		return -EBADF;
	return or_errno(args[2] & 8 ? pwrite(fd, buffer, 1 + args[2] % 8, at) :
				      pread(fd, buffer, 1 + args[2] % 8, at));
}

static long run_device_mmap(const unsigned char *args, unsigned int second)
{
	off_t at = ((off_t)(args[0] % 10) << (args[0] & 64 ? 40 : 32));
	int fd = get_fd(DEVICE, second);
	void *p;

	if (fd < 0)
		return -EBADF;
	p = mmap(place(args[1]), extent(args[1], args[2]), PROT_READ | PROT_WRITE,
		 MAP_FIXED | MAP_SHARED, fd, at);
	return p == MAP_FAILED ? -errno : 0;
}

static long run_stream(const unsigned char *args, unsigned int second)
{
	int fd = get_fd(STREAM, second);
	static unsigned char stream[8192];

	if (fd < 0)
		return -EBADF;
	return or_errno(args[0] & 1 ? write(fd, stream, args[1] * 32) :
				      read(fd, stream, args[1] * 32));
}

/* ---- the table ---- */

#define F(type, field, means) \
	{ offsetof(struct type, field), sizeof(((struct type *)0)->field), means, \
	  0, #field }
#define P(type, field, means, value) \
	{ offsetof(struct type, field), sizeof(((struct type *)0)->field), means, \
	  value, #field }
#define AT(offset, width, means, value, name) { offset, width, means, value, name }
#define IOCTL(cmd, slot, weight, type, ...) \
	{ #cmd, cmd, weight, slot, sizeof(struct type), .fields = { __VA_ARGS__ } }
#define REFUSED(cmd, type, ...) \
	{ #cmd, cmd, 1, IOMMU, sizeof(struct type), .refused = true, \
	  .fields = { __VA_ARGS__ } }
#define MOCK(which, weight, ...) \
	{ #which, IOMMU_TEST_CMD, weight, IOMMU, sizeof(struct iommu_test_cmd), \
	  .fields = { P(iommu_test_cmd, op, CONSTANT, IOMMU_TEST_OP_##which), \
		      __VA_ARGS__ } }
#define MOCK_GIVES(which, weight, gives, out, class, ...) \
	{ #which, IOMMU_TEST_CMD, weight, IOMMU, sizeof(struct iommu_test_cmd), \
	  gives, offsetof(struct iommu_test_cmd, out), class, \
	  .fields = { P(iommu_test_cmd, op, CONSTANT, IOMMU_TEST_OP_##which), \
		      __VA_ARGS__ } }
#define M(field, means)	F(iommu_test_cmd, field, means)
#define MFD(field)	P(iommu_test_cmd, field, FD, ACCESS)
#define PLAIN(what, weight, function)	{ what, 0, weight, .run = function }
#define VALUE(cmd, slot, weight)	{ #cmd, cmd, weight, slot }
/* VFIO_DEVICE_FEATURE by its number, with room for what comes behind */
#define FEATURE_OF(name, number, size, ...) \
	{ "FEATURE_" #name, VFIO_DEVICE_FEATURE, 3, DEVICE, 8 + (size), \
	  .fields = { { 4, 4, FEATURE, number, "flags" }, __VA_ARGS__ } }

static const struct kind kinds[] = {
	IOCTL(IOMMU_DESTROY, IOMMU, 10, iommu_destroy, F(iommu_destroy, id, ANY)),
	IOCTL(IOMMU_IOAS_ALLOC, IOMMU, 6, iommu_ioas_alloc),
	IOCTL(IOMMU_IOAS_ALLOW_IOVAS, IOMMU, 6, iommu_ioas_allow_iovas,
	      F(iommu_ioas_allow_iovas, ioas_id, IOAS),
	      F(iommu_ioas_allow_iovas, num_iovas, SMALL),
	      F(iommu_ioas_allow_iovas, allowed_iovas, POINTER)),
	IOCTL(IOMMU_IOAS_IOVA_RANGES, IOMMU, 12, iommu_ioas_iova_ranges,
	      F(iommu_ioas_iova_ranges, ioas_id, IOAS),
	      F(iommu_ioas_iova_ranges, num_iovas, SMALL),
	      F(iommu_ioas_iova_ranges, allowed_iovas, POINTER)),
	IOCTL(IOMMU_IOAS_MAP, IOMMU, 180, iommu_ioas_map,
	      F(iommu_ioas_map, flags, FLAGS), F(iommu_ioas_map, ioas_id, IOAS),
	      F(iommu_ioas_map, user_va, VA), F(iommu_ioas_map, length, BYTES),
	      F(iommu_ioas_map, iova, IOVA)),
	IOCTL(IOMMU_IOAS_MAP_FILE, IOMMU, 40, iommu_ioas_map_file,
	      F(iommu_ioas_map_file, flags, FLAGS),
	      F(iommu_ioas_map_file, ioas_id, IOAS),
	      P(iommu_ioas_map_file, fd, FD, MEMFD),
	      F(iommu_ioas_map_file, length, BYTES),
	      F(iommu_ioas_map_file, iova, IOVA),
	      F(iommu_ioas_map_file, start, BYTES)),
	IOCTL(IOMMU_IOAS_COPY, IOMMU, 110, iommu_ioas_copy,
	      F(iommu_ioas_copy, flags, FLAGS),
	      F(iommu_ioas_copy, dst_ioas_id, IOAS),
	      F(iommu_ioas_copy, src_ioas_id, IOAS),
	      F(iommu_ioas_copy, length, BYTES),
	      F(iommu_ioas_copy, dst_iova, IOVA),
	      F(iommu_ioas_copy, src_iova, IOVA)),
	IOCTL(IOMMU_IOAS_UNMAP, IOMMU, 180, iommu_ioas_unmap,
	      F(iommu_ioas_unmap, ioas_id, IOAS), F(iommu_ioas_unmap, iova, IOVA),
	      F(iommu_ioas_unmap, length, BYTES)),
	IOCTL(IOMMU_OPTION, IOMMU, 8, iommu_option, P(iommu_option, option_id, SMALL, 2),
	      P(iommu_option, op, SMALL, 2), F(iommu_option, object_id, IOAS),
	      P(iommu_option, val64, SMALL, 2)),
	IOCTL(IOMMU_VFIO_IOAS, IOMMU, 6, iommu_vfio_ioas,
	      F(iommu_vfio_ioas, ioas_id, IOAS), P(iommu_vfio_ioas, op, SMALL, 3)),
	/* The long structure of later kernels: data and a fault queue behind ours */
	{ "IOMMU_HWPT_ALLOC", IOMMU_HWPT_ALLOC, 10, IOMMU, 48, .fields = {
	  F(iommu_hwpt_alloc, dev_id, DEV), F(iommu_hwpt_alloc, pt_id, IOAS),
	  AT(4, 4, SMALL, 1, "flags"), AT(24, 4, SMALL, 1, "data_type"),
	  AT(28, 4, SMALL, 1, "data_len"), AT(32, 8, SMALL, 4, "data_uptr") } },
	IOCTL(IOMMU_GET_HW_INFO, IOMMU, 6, iommu_hw_info, F(iommu_hw_info, dev_id, DEV),
	      F(iommu_hw_info, data_len, SMALL),
	      F(iommu_hw_info, data_uptr, POINTER), P(iommu_hw_info, flags, SMALL, 1)),
	IOCTL(IOMMU_IOAS_CHANGE_PROCESS, IOMMU, 2, iommu_ioas_change_process),
	REFUSED(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking,
		F(iommu_hwpt_set_dirty_tracking, hwpt_id, HWPT),
		F(iommu_hwpt_set_dirty_tracking, flags, SMALL)),
	REFUSED(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap,
		F(iommu_hwpt_get_dirty_bitmap, hwpt_id, HWPT),
		F(iommu_hwpt_get_dirty_bitmap, length, BYTES),
		F(iommu_hwpt_get_dirty_bitmap, page_size, BYTES),
		F(iommu_hwpt_get_dirty_bitmap, iova, IOVA)),
	REFUSED(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate,
		F(iommu_hwpt_invalidate, hwpt_id, HWPT),
		F(iommu_hwpt_invalidate, entry_num, SMALL),
		F(iommu_hwpt_invalidate, entry_len, SMALL),
		F(iommu_hwpt_invalidate, data_uptr, POINTER)),
	REFUSED(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc,
		F(iommu_fault_alloc, flags, SMALL)),
	REFUSED(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc,
		F(iommu_viommu_alloc, type, SMALL), F(iommu_viommu_alloc, dev_id, DEV),
		F(iommu_viommu_alloc, hwpt_id, HWPT), F(iommu_viommu_alloc, flags, SMALL)),
	REFUSED(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc,
		F(iommu_vdevice_alloc, viommu_id, ANY), F(iommu_vdevice_alloc, dev_id, DEV),
		F(iommu_vdevice_alloc, virt_id, BYTES)),
	REFUSED(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc,
		F(iommu_veventq_alloc, viommu_id, ANY), F(iommu_veventq_alloc, type, SMALL),
		F(iommu_veventq_alloc, veventq_depth, SMALL)),
	REFUSED(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc,
		F(iommu_hw_queue_alloc, viommu_id, ANY),
		F(iommu_hw_queue_alloc, type, SMALL),
		F(iommu_hw_queue_alloc, length, BYTES),
		F(iommu_hw_queue_alloc, nesting_parent_iova, IOVA)),

	MOCK(ADD_RESERVED, 1, M(id, IOAS), M(add_reserved.start, IOVA),
	     M(add_reserved.length, BYTES)),
	MOCK(MOCK_DOMAIN, 3, M(id, PT)),
	MOCK(LOCAL_DEVICE, 2, M(id, PT), P(iommu_test_cmd, local_device.unit, SMALL, 4),
	     P(iommu_test_cmd, local_device.group_stdev_id, STDEV, 1),
	     P(iommu_test_cmd, local_device.reserved_type, SMALL, 5),
	     M(local_device.reserved_start, IOVA)),
	MOCK(MD_CHECK_MAP, 30, M(id, HWPT), M(check_map.iova, IOVA),
	     M(check_map.length, BYTES), M(check_map.uptr, VA)),
	MOCK(MD_CHECK_REFS, 16, M(check_refs.length, BYTES), M(check_refs.uptr, VA),
	     M(check_refs.refs, SMALL)),
	MOCK_GIVES(CREATE_ACCESS, 5, AN_FD, create_access.out_fd, ACCESS, M(id, IOAS),
		   P(iommu_test_cmd, create_access.flags, SMALL, 2)),
	MOCK(DESTROY_ACCESS_PAGES, 40, MFD(id),
	     M(destroy_access_pages.pages_id, PINNED)),
	MOCK(ACCESS_PAGES, 60, MFD(id), P(iommu_test_cmd, access_pages.flags, SMALL, 2),
	     M(access_pages.iova, IOVA), M(access_pages.length, BYTES),
	     M(access_pages.uptr, VA)),
	MOCK(ACCESS_RW, 60, MFD(id), M(access_rw.iova, IOVA),
	     M(access_rw.length, BYTES), M(access_rw.uptr, VA),
	     P(iommu_test_cmd, access_rw.flags, SMALL, 2)),
	MOCK(SET_TEMP_MEMORY_LIMIT, 1, M(memory_limit.limit, BYTES)),
	MOCK(MOCK_DOMAIN_REPLACE, 24, M(id, STDEV), M(mock_domain_replace.pt_id, PT)),
	MOCK(ACCESS_REPLACE_IOAS, 8, MFD(id), M(access_replace_ioas.ioas_id, IOAS)),
	MOCK(LOCAL_FAIL_ATTACH, 2, M(local_fail_attach.nr, SMALL),
	     M(local_fail_attach.times, SMALL)),

	IOCTL(VFIO_DEVICE_BIND_IOMMUFD, DEVICE, 4, vfio_device_bind_iommufd,
	      P(vfio_device_bind_iommufd, iommufd, FD, IOMMU),
	      P(vfio_device_bind_iommufd, flags, SMALL, 2),
	      F(vfio_device_bind_iommufd, token_uuid_ptr, POINTER)),
	IOCTL(VFIO_DEVICE_ATTACH_IOMMUFD_PT, DEVICE, 10, vfio_device_attach_iommufd_pt,
	      F(vfio_device_attach_iommufd_pt, pt_id, PT)),
	IOCTL(VFIO_DEVICE_DETACH_IOMMUFD_PT, DEVICE, 3, vfio_device_detach_iommufd_pt),
	IOCTL(VFIO_DEVICE_GET_INFO, DEVICE, 6, vfio_device_info),
	IOCTL(VFIO_DEVICE_GET_REGION_INFO, DEVICE, 6, vfio_region_info,
	      F(vfio_region_info, index, SMALL)),
	IOCTL(VFIO_DEVICE_GET_IRQ_INFO, DEVICE, 6, vfio_irq_info,
	      F(vfio_irq_info, index, SMALL)),
	{ "VFIO_DEVICE_SET_IRQS", VFIO_DEVICE_SET_IRQS, 8, DEVICE,
	  sizeof(struct vfio_irq_set) + 8, .fields = {
	  F(vfio_irq_set, flags, IRQ_FLAGS), P(vfio_irq_set, index, SMALL, 6),
	  P(vfio_irq_set, start, SMALL, 4), P(vfio_irq_set, count, SMALL, 4),
	  AT(sizeof(struct vfio_irq_set), 4, FD, EVENT, "fd"),
	  AT(sizeof(struct vfio_irq_set) + 4, 4, FD, EVENT, "fd") } },
	VALUE(VFIO_DEVICE_RESET, DEVICE, 1),
	{ "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, 2,
	  DEVICE, sizeof(struct vfio_pci_hot_reset_info) + 16 },
	{ "VFIO_DEVICE_PCI_HOT_RESET", VFIO_DEVICE_PCI_HOT_RESET, 2,
	  DEVICE, sizeof(struct vfio_pci_hot_reset) + 8, .fields = {
	  P(vfio_pci_hot_reset, count, SMALL, 3),
	  AT(sizeof(struct vfio_pci_hot_reset), 4, FD, GROUP, "fd"),
	  AT(sizeof(struct vfio_pci_hot_reset) + 4, 4, FD, GROUP, "fd") } },
	IOCTL(VFIO_DEVICE_IOEVENTFD, DEVICE, 1, vfio_device_ioeventfd,
	      F(vfio_device_ioeventfd, flags, BITS),
	      F(vfio_device_ioeventfd, offset, BYTES),
	      P(vfio_device_ioeventfd, fd, FD, EVENT)),
	IOCTL(VFIO_DEVICE_QUERY_GFX_PLANE, DEVICE, 1, vfio_device_gfx_plane_info,
	      F(vfio_device_gfx_plane_info, flags, BITS)),
	{ "VFIO_DEVICE_FEATURE", VFIO_DEVICE_FEATURE, 2, DEVICE, 40, .fields = {
	  AT(4, 4, FEATURE, 256, "flags"), AT(8, 8, BYTES, 0, "data") } },
	FEATURE_OF(MIGRATION, VFIO_DEVICE_FEATURE_MIGRATION, 8),
	{ "FEATURE_MIG_DEVICE_STATE", VFIO_DEVICE_FEATURE, 5, DEVICE, 16, AN_FD, 12,
	  STREAM, .fields = {
	  AT(4, 4, FEATURE, VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, "flags"),
	  AT(8, 4, SMALL, 9, "device_state") } },
	FEATURE_OF(DMA_LOGGING_START, VFIO_DEVICE_FEATURE_DMA_LOGGING_START, 24,
		   AT(8, 8, BYTES, 0, "page_size"), AT(16, 4, SMALL, 4, "num_ranges"),
		   AT(24, 8, POINTER, 0, "ranges")),
	FEATURE_OF(DMA_LOGGING_STOP, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, 0),
	FEATURE_OF(DMA_LOGGING_REPORT, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, 32,
		   AT(8, 8, IOVA, 0, "iova"), AT(16, 8, BYTES, 0, "length"),
		   AT(24, 8, BYTES, 0, "page_size"), AT(32, 8, POINTER, 0, "bitmap")),
	FEATURE_OF(MIG_DATA_SIZE, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, 8),
	IOCTL(VFIO_MIG_GET_PRECOPY_INFO, STREAM, 1, vfio_precopy_info),

	IOCTL(VFIO_GROUP_GET_STATUS, GROUP, 1, vfio_group_status),
	{ "VFIO_GROUP_SET_CONTAINER", VFIO_GROUP_SET_CONTAINER, 6, GROUP, 4,
	  .fields = { AT(0, 4, FD, CONTAINER, "fd") } },
	VALUE(VFIO_GROUP_UNSET_CONTAINER, GROUP, 3),
	{ "VFIO_GROUP_GET_DEVICE_FD", VFIO_GROUP_GET_DEVICE_FD, 3, GROUP, 64,
	  RETURNS_FD, .what = DEVICE },

	VALUE(VFIO_GET_API_VERSION, CONTAINER, 1),
	VALUE(VFIO_CHECK_EXTENSION, CONTAINER, 1),
	VALUE(VFIO_SET_IOMMU, CONTAINER, 6),
	{ "VFIO_IOMMU_GET_INFO", VFIO_IOMMU_GET_INFO, 3, CONTAINER, 120 },
	IOCTL(VFIO_IOMMU_MAP_DMA, CONTAINER, 40, vfio_iommu_type1_dma_map,
	      P(vfio_iommu_type1_dma_map, flags, SMALL, 4),
	      F(vfio_iommu_type1_dma_map, vaddr, VA),
	      F(vfio_iommu_type1_dma_map, iova, IOVA),
	      F(vfio_iommu_type1_dma_map, size, BYTES)),
	IOCTL(VFIO_IOMMU_UNMAP_DMA, CONTAINER, 30, vfio_iommu_type1_dma_unmap,
	      P(vfio_iommu_type1_dma_unmap, flags, SMALL, 4),
	      F(vfio_iommu_type1_dma_unmap, iova, IOVA),
	      F(vfio_iommu_type1_dma_unmap, size, BYTES)),
	IOCTL(VFIO_IOMMU_DIRTY_PAGES, CONTAINER, 1, vfio_iommu_type1_dirty_bitmap,
	      F(vfio_iommu_type1_dirty_bitmap, flags, SMALL)),
	VALUE(VFIO_IOMMU_ENABLE, CONTAINER, 1),

	PLAIN("mmap", 5, run_mmap), PLAIN("munmap", 4, run_munmap),
	PLAIN("mremap", 4, run_mremap), PLAIN("madvise", 4, run_madvise),
	PLAIN("mprotect", 3, run_mprotect), PLAIN("mlock", 3, run_mlock),
	PLAIN("truncate", 3, run_truncate), PLAIN("touch", 2, run_touch),
	PLAIN("fork", 1, run_fork), PLAIN("signal", 2, run_signal),
	PLAIN("yield", 1, run_yield),
	PLAIN("open", 5, run_open), PLAIN("close", 3, run_close),
	PLAIN("fdinfo", 1, run_fdinfo), PLAIN("device_rw", 3, run_read),
	PLAIN("device_mmap", 1, run_device_mmap), PLAIN("stream_rw", 2, run_stream),
	PLAIN("kvm_open", 1, run_kvm_open), PLAIN("kvm_vfio", 4, run_kvm_vfio),
};

#define NR_KINDS	(sizeof(kinds) / sizeof(kinds[0]))
_Static_assert(NR_KINDS <= MAX_KINDS, "MAX_KINDS");

unsigned int nr_kinds(void)
{
	return NR_KINDS;
}

const char *kind_name(unsigned int what)
{
	return kinds[what].name;
}

unsigned int kind_weight(unsigned int what)
{
	return kinds[what].weight;
}

bool kind_is_ioctl(unsigned int what)
{
	return !kinds[what].run;
}

bool kind_is_refused(unsigned int what)
{
	return kinds[what].refused;
}

bool kind_is_slow(unsigned int what)
{
	static const char *const slow[] = {
		"MOCK_DOMAIN", "LOCAL_DEVICE", "VFIO_GROUP_GET_DEVICE_FD",
		"VFIO_DEVICE_RESET", "IOMMU_IOAS_CHANGE_PROCESS", "open", "fork",
		"fdinfo", "yield", "kvm_open", "mmap", "munmap", "mremap", "madvise",
		"mprotect", "mlock", "touch", "signal",
	};
	unsigned int i;

	for (i = 0; i < sizeof(slow) / sizeof(slow[0]); i++)
		if (!strcmp(kinds[what].name, slow[i]))
			return true;
	return false;
}

int kind_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_KINDS; i++)
		if (!strcmp(kinds[i].name, name))
			return i;
	return -1;
}

/* ---- what arguments mean ---- */

static uint32_t id_of(unsigned int class, unsigned char arg)
{
	if (arg >= 248)
		return arg - 248 ? arg : 0;
	if (arg >= 224)
		class = IOAS + arg % (NR_CLASSES - IOAS);
	return made_any(class, arg, arg < 192);
}

static uint64_t argument(const struct field *field, unsigned char arg)
{
	static const uint64_t lengths[] = {
		PAGE, 2 * PAGE, 4 * PAGE, 16 * PAGE, HALF, 3 * HALF, 1, 0,
		64 * PAGE, 2 * MiB, 16, 7 * PAGE, UINT64_MAX, 1UL << 40, 65536,
		PAGE - 1,
	};
	static const unsigned char map_flags[] = { 7, 3, 5, 6, 7, 1, 0, 7 };
	static const unsigned char irq_flags[] = {
		0x24, 0x21, 0x22, 0x20, 0x09, 0x11, 0x0c, 0x24,
	};
	const unsigned int get_set = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;

	switch (field->meaning) {
	case IOAS:
	case HWPT:
	case DEV:
	case PINNED:
		return id_of(field->meaning, arg);
	case STDEV:
		/* With a constant: as often none */
		return field->constant && arg % 2 ? 0 : id_of(STDEV, arg / 2);
	case PT:
		return id_of(arg & 4 ? HWPT : IOAS, arg);
	case ANY:
		return id_of(IOAS + arg / 4 % (NR_CLASSES - IOAS), arg);
	case SMALL:
		if (field->constant && arg < 192)
			return arg % field->constant;
		return arg < 248 ? arg % 24 : UINT32_MAX - (255 - arg);
	case BITS:
		return arg;
	case FLAGS:
		return arg < 240 ? map_flags[arg % 8] :
				   (1UL << (arg % 16)) | (arg << 16);
	case IRQ_FLAGS:
		return arg < 192 ? irq_flags[arg % 8] : arg;
	case FEATURE:
		return (field->constant == 256 ? arg / 2 % 16 : field->constant) |
		       (arg % 2 ? VFIO_DEVICE_FEATURE_GET :
				       VFIO_DEVICE_FEATURE_SET) |
		       (arg >= 192 ? VFIO_DEVICE_FEATURE_PROBE : 0) |
		       (arg >= 240 ? get_set : 0);
	case IOVA:
		if (arg >= 240)
			return arg == 240 ? 0 : -(uint64_t)(arg - 240) * HALF;
		return BASE + (arg < 192 ? arg % 48 * PAGE : arg % 48 * HALF);
	case BYTES:
		return lengths[arg < 192 ? arg % 8 : arg % 16];
	case VA:
		if (arg >= 0xf0) {
			big_used = true;
			return BIG_ADDRESS + arg % 16 * 32 * PAGE;
		}
		return ARENA_ADDRESS + (arg < 192 ? arg % 64 * PAGE : arg % 64 * HALF);
	case POINTER:
		if (arg < 192)
			return (uintptr_t)data[arg % 4];
		return arg < 240 ? ARENA_ADDRESS + arg % 64 * PAGE : arg;
	case FD:
		return get_fd(arg < 224 ? field->constant : arg % NR_SLOTS, arg);
	case CONSTANT:
		return field->constant;
	}
	return 0;
}

/* Bytes that mean nothing are 0. */
void call_trim(struct call *call)
{
	const struct kind *kind = &kinds[call->what];
	unsigned int nr = 0, i;

	for (i = 0; i < sizeof(kind->fields) / sizeof(kind->fields[0]); i++)
		nr += kind->fields[i].meaning && kind->fields[i].meaning != CONSTANT;
	if (kind->run)
		nr = kind->run == run_read ? 7 : 4;
	else if (!kind->size)
		nr = 1;
	if (kind->size && call->args[NR_ARGS - 1] >= 0xfd)
		return;
	for (i = nr; i < NR_ARGS; i++)
		call->args[i] = 0;
}

void call_explain(FILE *f, const struct call *call)
{
	const struct kind *kind = &kinds[call->what];
	static const char *const classes[] = {
		[IOAS] = "ioas", [HWPT] = "hwpt", [DEV] = "dev", [STDEV] = "stdev",
		[PINNED] = "pinned",
	};
	const struct field *field;
	unsigned int i = 0;

	for (field = kind->fields; field->meaning; field++) {
		unsigned char arg = call->args[i % NR_ARGS];

		if (field->meaning == CONSTANT)
			continue;
		i++;
		fprintf(f, " %s=", field->name);
		if (field->meaning == FD)
			fprintf(f, "fd");
		else if (field->meaning == PT && arg < 224)
			fprintf(f, "%s[%u]", classes[arg & 4 ? HWPT : IOAS], arg % NR_IDS);
		else if (field->meaning == ANY && arg < 224)
			fprintf(f, "%s[%u]", classes[IOAS + arg / 4 % (NR_CLASSES - IOAS)],
				arg % NR_IDS);
		else if (field->meaning <= PINNED && arg < 224)
			fprintf(f, "%s[%u]", classes[field->meaning], arg % NR_IDS);
		else if (field->meaning <= ANY)
			fprintf(f, "id");
		else if (field->meaning == POINTER && arg < 192)
			fprintf(f, "data");
		else
			fprintf(f, "%#llx", (unsigned long long)argument(field, arg));
	}
}

/* ---- doing it ---- */

static void results(const struct kind *kind, const unsigned char *buffer, long rc)
{
	int out;

	switch (kind->gives) {
	case AN_FD:
		memcpy(&out, buffer + kind->out, sizeof(out));
		if (out > 2 && (kind->what != STREAM || !(buffer[6] & 4)))
			set_fd(kind->what, next_fd[kind->what]++, out);
		break;
	case RETURNS_FD:
		set_fd(kind->what, next_fd[kind->what]++, rc);
		break;
	}
}

static long ioctl_run(const struct kind *kind, const struct call *call)
{
	unsigned char buffer[ROOM] __attribute__((aligned(8))) = { 0 };
	unsigned int second = call->second & 1;
	const unsigned char *args = call->args;
	/* What makes the structure wrong */
	unsigned char wrong = call->aim ? 0 : args[NR_ARGS - 1];
	uint32_t size = kind->size, pt;
	const struct field *field;
	void *arg = buffer;
	unsigned int i = 0;
	long rc;
	int fd;

	if (call->aim && kind->slot == IOMMU)
		second = aim_second(kind->cmd, second);
	fd = get_fd(kind->slot, second);
	if (fd < 0)
		return -EBADF;
	if (!kind->size) {
		rc = args[0] % 24;
		/* A type of IOMMU that there is */
		if (call->aim && kind->cmd == VFIO_SET_IOMMU)
			rc = args[0] % 2 ? VFIO_TYPE1_IOMMU : VFIO_TYPE1v2_IOMMU;
		rc = or_errno(ioctl(fd, kind->cmd, rc));
		if (rc >= 0)
			learn(kind->cmd, buffer, second, 0);
		return rc;
	}
	/* A program of today does not know the long structure. */
	if (kind->cmd == IOMMU_HWPT_ALLOC && wrong < 192)
		size = sizeof(struct iommu_hwpt_alloc);
	if (wrong == 0xff)
		size = args[NR_ARGS - 2];
	else if (wrong == 0xfe)
		size += 8;
	memcpy(buffer, &size, 4);
	for (field = kind->fields; field->meaning; field++) {
		uint64_t v = argument(field, args[i % NR_ARGS]);

		if (field->offset + field->width <= ROOM)
			memcpy(buffer + field->offset, &v, field->width);
		i += field->meaning != CONSTANT;
	}
	/* What a migration stream's descriptor would be if none is given */
	if (kind->gives == AN_FD)
		memset(buffer + kind->out, 0xff, kind->what == STREAM ? 4 : 0);
	if (kind->gives == RETURNS_FD)
		memcpy(buffer, devices[args[0] & 1].name, sizeof(devices[0].name));
	if (wrong == 0xfd)
		arg = (void *)(BIG_ADDRESS + 4 * MiB);
	if (call->aim && !aim(kind->cmd, buffer, second, call->aim - 1, args))
		return -EBADF;
	pt = aim_pt(kind->cmd, buffer);
	rc = or_errno(ioctl(fd, kind->cmd, arg));
	if (rc >= 0 && arg == buffer) {
		results(kind, buffer, rc);
		learn(kind->cmd, buffer, second, pt);
	} else if (rc == -ENOENT && call->aim) {
		learn_absent(kind->cmd, buffer, second);
	}
	return rc;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

long call_run(const struct call *call, const struct program *rest, unsigned int at)
{
	const struct kind *kind = &kinds[call->what];
	struct kind_count *count = &shared->kinds[call->what];
	uint64_t before = shared->profile ? now_ns() : 0;
	long rc;

	if (kind->run == run_fork) {
		running = rest;
		running_at = at;
	}
	rc = kind->run ? kind->run(call->args, call->second) : ioctl_run(kind, call);
	if (shared->profile)
		__atomic_fetch_add(&count->ns, now_ns() - before, __ATOMIC_RELAXED);
	__atomic_fetch_add(rc < 0 ? &count->failed[-rc % NR_ERRNO] : &count->ok, 1,
			   __ATOMIC_RELAXED);
	if (call->aim && rc != -EBADF) {
		__atomic_fetch_add(&shared->aimed, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&shared->aimed_ok, rc >= 0, __ATOMIC_RELAXED);
	}
	return rc;
}

/* ---- between programs ---- */

static void on_signal(int nr)
{
}

/* Once in each process that runs programs */
void calls_begin(const struct fuzz_device *first, const struct fuzz_device *second)
{
	struct sigaction action = { .sa_handler = on_signal };
	uint64_t ranges[] = { BASE, BASE + MiB - 1, BASE + 2 * MiB, BASE + 3 * MiB - 1,
			      BASE + 4 * MiB, BASE + 5 * MiB - 1 };
	uint64_t lengths[] = { BASE, 64 * PAGE, BASE + MiB, 16 * PAGE, BASE + 2 * MiB,
			       PAGE };
	unsigned int i;

	devices[0] = *first;
	devices[1] = *second;
	sigaction(SIGUSR1, &action, NULL);
	memcpy(data[0], ranges, sizeof(ranges));
	memcpy(data[1], lengths, sizeof(lengths));
	for (i = 0; i < NR_SLOTS; i++)
		fds[i][0] = fds[i][1] = -1;
	fds[MEMFD][0] = memfd_create("fuzz", MFD_CLOEXEC);
	file_changed = true;
	big_used = true;
	calls_reset();
}

/* Everything as a program finds it: one context with one address space. */
void calls_reset(void)
{
	unsigned int i;
	uint32_t id;

	for (i = 0; i < NR_CHILDREN; i++) {
		if (children[i] <= 0)
			continue;
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
		children[i] = 0;
	}
	calls_forget();
	mmap(arena, NR_ARENA * PAGE, PROT_READ | PROT_WRITE,
	     MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (big_used) {
		mmap(big, 4 * MiB, PROT_READ | PROT_WRITE,
		     MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		madvise(big, 2 * MiB, MADV_HUGEPAGE);
		big_used = false;
	}
	if (file_changed) {
		if (ftruncate(fds[MEMFD][0], 0) || ftruncate(fds[MEMFD][0], NR_FILE * PAGE))
			_exit(1);
		file_changed = false;
	}
	memset(next_fd, 0, sizeof(next_fd));
	aim_reset();
	/* The second context is opened by those that want it. */
	set_fd(IOMMU, 0, open("/dev/iommu", O_RDWR | O_CLOEXEC));
	if (!ioas_alloc(fds[IOMMU][0], &id))
		made_add(IOAS, 0, id, 0);
}

/* Close all files, devices before the context that they are bound to or after. */
void calls_forget(void)
{
	unsigned int i, second;

	for (i = 0; i < NR_SLOTS; i++) {
		if (i == MEMFD)
			continue;
		for (second = 0; second < 2; second++) {
			int fd = __atomic_exchange_n(&fds[i][second], -1,
						     __ATOMIC_RELAXED);

			if (fd >= 0)
				close(fd);
		}
	}
}
