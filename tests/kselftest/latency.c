// SPDX-License-Identifier: GPL-2.0
/*
 * How long does the kernel run for a program without letting others in, and how
 * soon does a program die that is killed meanwhile? For the largest that a program
 * can ask for, or an eighth of it where that takes too long in an emulator. To
 * be run where instructions are counted, on one processor, and with a kernel
 * that is preempted at cond_resched() and nowhere else:
 *
 *	tests/vm/run --icount --edu --sample --mem 4G --append preempt=none -- latency
 *
 * A thread with a real-time priority wakes each millisecond and notes by how
 * much it came late: with one processor that is how long somebody else had it
 * without a reschedule point. A tick of the clock is an instruction, so that the
 * figures are the same on any host. "Longest" counts interrupts, soft interrupts
 * and the rest of the kernel.
 *
 * The limit is a tenth of what docs/security.md promises, since sizes here are a
 * fraction of what they may be: what grows with the size would show. LATENCY_MAPPINGS
 * and LATENCY_MIB in the environment make it larger.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>

#include "vcopy_utils.h"

#define BASE		(4096 * MiB)	/* above the MSI window */
#define LIMIT_MS	10.0
#define KILL_LIMIT_MS	100.0
#define WAKE_NS		1000000L

static unsigned int nr_mappings = 131072;
static size_t span = 1024 * MiB;

static int iommufd, dev;
static unsigned int nr_results, nr_failed;

/* ---- TAP ---- */

static void diag(const char *fmt, ...)
{
	va_list args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
}

static void __attribute__((noreturn)) bail(const char *what, int rc)
{
	printf("Bail out! %s: %s\n", what, strerror(-rc));
	exit(1);
}

static void must(const char *what, int rc)
{
	if (rc < 0)
		bail(what, rc);
}

static void result(bool ok, const char *name)
{
	nr_failed += !ok;
	printf("%sok %u %s\n", ok ? "" : "not ", ++nr_results, name);
	fflush(stdout);
}

/* ---- the watcher ---- */

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static volatile int64_t longest;

static void be_urgent(bool urgent)
{
	const struct sched_param param = { .sched_priority = urgent ? 50 : 0 };

	if (sched_setscheduler(0, urgent ? SCHED_FIFO : SCHED_OTHER, &param))
		bail("sched_setscheduler", -errno);
}

static void *watch(void *unused)
{
	struct timespec t;
	int64_t next, late;

	be_urgent(true);
	for (next = now_ns() + WAKE_NS; ; next = now_ns() + WAKE_NS) {
		t.tv_sec = next / 1000000000;
		t.tv_nsec = next % 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		late = now_ns() - next;
		if (late > longest)
			longest = late;
	}
	return NULL;
}

static int64_t since;

static void begin(void)
{
	longest = 0;
	since = now_ns();
}

/* The watcher has run since: who comes back to user mode can be preempted. */
static void end(const char *name)
{
	int64_t took = now_ns() - since;
	struct timespec t = { .tv_nsec = 2 * WAKE_NS };

	nanosleep(&t, NULL);
	diag("%s: longest %.2f ms of %.1f, limit %.0f", name, longest / 1e6,
	     took / 1e6, LIMIT_MS);
	result(longest / 1e6 <= LIMIT_MS, name);
}

#define MEASURE(name, call) do {					\
	int _rc;							\
									\
	begin();							\
	_rc = (call);							\
	end(name);							\
	must(name, _rc);						\
} while (0)

#define MEASURE_RC(name, rc, call) do {					\
	int _rc;							\
									\
	begin();							\
	_rc = (call);							\
	end(name);							\
	if (_rc != (rc))						\
		bail(name, _rc);					\
} while (0)

/* ---- memory ---- */

/* A permutation of the numbers below a power of two. */
static unsigned int strewn(unsigned int i, unsigned int nr)
{
	return (i * 40503U + 12345U) & (nr - 1);
}

/*
 * A file of @size, mapped again and again. Its pages are each a run of its own, or,
 * without @scattered, many in a row are one.
 */
static char *memory(size_t length, size_t size, bool scattered)
{
	const unsigned int nr = size / PAGE;
	int fd = memfd_create("latency", 0);
	char *p, *raw;
	unsigned int i;
	size_t at;

	if (fd < 0 || ftruncate(fd, nr * PAGE))
		bail("memfd", -errno);
	raw = mmap(NULL, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_NORESERVE, -1, 0);
	if (raw == MAP_FAILED)
		bail("mmap", -errno);
	for (at = 0; at < length; at += nr * PAGE) {
		p = mmap(raw + at, nr * PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, 0);
		if (p == MAP_FAILED)
			bail("mmap", -errno);
		for (i = 0; !at && i < nr; i++)
			p[(scattered ? strewn(i, nr) : i) * PAGE] = 1;
		if (madvise(p, nr * PAGE, MADV_POPULATE_WRITE))
			bail("populate", -errno);
	}
	close(fd);
	return raw;
}

static uint32_t new_ioas(void)
{
	uint32_t id = 0;

	must("IOAS_ALLOC", ioas_alloc(iommufd, &id));
	return id;
}

/* ---- one large mapping ---- */

static void one_large_mapping(const char *kind, char *p)
{
	uint32_t ioas = new_ioas(), other = new_ioas();
	uint64_t iova = BASE;
	char name[80];

#define NAME(what) (snprintf(name, sizeof(name), what "_%s", kind), name)
	must("attach", vfio_attach(dev, ioas, NULL));
	MEASURE(NAME("map"), ioas_map_fixed(iommufd, ioas, RW, p, span, BASE));
	MEASURE(NAME("unmap"), ioas_unmap(iommufd, ioas, BASE, span, NULL));
	must("detach", vfio_detach(dev));

	must("map", ioas_map_fixed(iommufd, ioas, RW, p, span, BASE));
	MEASURE(NAME("attach"), vfio_attach(dev, ioas, NULL));
	MEASURE(NAME("copy"), ioas_copy(iommufd, RW | FIXED, other, &iova, ioas,
					BASE, span));
	MEASURE(NAME("replace"), vfio_attach(dev, other, NULL));
	MEASURE(NAME("detach"), vfio_detach(dev));
	MEASURE(NAME("destroy"), iommufd_destroy(iommufd, other));
	must("destroy", iommufd_destroy(iommufd, ioas));
#undef NAME
}

/* Without large pages: each of them is told to the IOMMU driver one by one. */
static void small_pages(char *p)
{
	uint32_t ioas = new_ioas();
	uint64_t off = 0;

	must("option", iommufd_option(iommufd, IOMMU_OPTION_HUGE_PAGES,
				      IOMMU_OPTION_OP_SET, ioas, &off));
	must("map", ioas_map_fixed(iommufd, ioas, RW, p, span, BASE));
	MEASURE("attach_without_huge_pages", vfio_attach(dev, ioas, NULL));
	MEASURE("detach_without_huge_pages", vfio_detach(dev));
	must("destroy", iommufd_destroy(iommufd, ioas));
}

/* ---- very many small ones ---- */

static void map_pages(uint32_t ioas, const char *p, uint64_t stride)
{
	uint64_t i;

	for (i = 0; i < nr_mappings; i++)
		must("map", ioas_map_fixed(iommufd, ioas, RW, p + i * PAGE % (64 * MiB),
					   PAGE, BASE + i * stride));
}

static int read_fdinfo(void)
{
	char path[64], text[65536];
	int fd, rc;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", iommufd);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	do {
		rc = read(fd, text, sizeof(text));
	} while (rc > 0);
	close(fd);
	return rc;
}

static void many_mappings(const char *p)
{
	uint32_t ioas = new_ioas(), other = new_ioas();
	const uint64_t length = nr_mappings * PAGE;
	uint64_t iova = BASE, off = 0;

	map_pages(ioas, p, PAGE);
	MEASURE("attach_many_mappings", vfio_attach(dev, ioas, NULL));
	MEASURE("fdinfo_of_many_mappings", read_fdinfo());
	MEASURE("copy_many_mappings", ioas_copy(iommufd, RW | FIXED, other, &iova,
						ioas, BASE, length));
	MEASURE("replace_many_mappings", vfio_attach(dev, other, NULL));
	must("replace", vfio_attach(dev, ioas, NULL));
	MEASURE_RC("copy_of_many_mappings_that_fails", -EEXIST,
		   ioas_copy(iommufd, RW | FIXED, other, &iova, ioas, BASE,
			     length));
	MEASURE("unmap_many_mappings", ioas_unmap_all(iommufd, ioas, NULL));
	must("detach", vfio_detach(dev));
	MEASURE("option_over_many_mappings",
		iommufd_option(iommufd, IOMMU_OPTION_HUGE_PAGES,
			       IOMMU_OPTION_OP_SET, other, &off));
	MEASURE("destroy_many_mappings", iommufd_destroy(iommufd, other));

	/* Each in a place of its own in the page tables. */
	map_pages(ioas, p, 2 * MiB);
	MEASURE("attach_mappings_far_apart", vfio_attach(dev, ioas, NULL));
	MEASURE("unmap_mappings_far_apart", ioas_unmap_all(iommufd, ioas, NULL));
	must("detach", vfio_detach(dev));
	must("destroy", iommufd_destroy(iommufd, ioas));
}

/* Gaps of the size asked for, and none where it could lie. */
static void gaps_that_do_not_fit(const char *p)
{
	const uint64_t far = 1UL << 63;
	uint32_t ioas = new_ioas();
	uint64_t iova = 0;

	/* Two 2 MiB in front of a mapping of 2 MiB, a half of one too far up. */
	must("map", ioas_map_fixed(iommufd, ioas, RW, p, 5 * MiB, 0));
	for (uint64_t i = 1; i <= nr_mappings; i++)
		must("map", ioas_map_fixed(iommufd, ioas, RW, p, 2 * MiB,
					   i * 4 * MiB + 3 * MiB));
	MEASURE("map_where_many_gaps_do_not_fit",
		ioas_map(iommufd, ioas, RW, p, 2 * MiB, &iova));
	/* Nothing is left but what lies wrong. */
	must("map", ioas_map_fixed(iommufd, ioas, RW, (void *)MiB, far - iova - 4 * MiB,
				   iova + 4 * MiB));
	must("map", ioas_map_fixed(iommufd, ioas, RW, (void *)MiB, far - 4 * MiB, far));
	must("map", ioas_map_fixed(iommufd, ioas, RW, p, 4 * MiB, -4 * MiB));
	must("unmap", ioas_unmap(iommufd, ioas, iova, 2 * MiB, NULL));
	must("map", ioas_map_fixed(iommufd, ioas, RW, p, 3 * MiB, iova + MiB));
	MEASURE_RC("map_that_fits_nowhere", -ENOSPC,
		   ioas_map(iommufd, ioas, RW, p, 2 * MiB, &iova));
	must("destroy", iommufd_destroy(iommufd, ioas));
}

static void allowed_ranges(const char *p)
{
	const unsigned int max = 65536;
	struct iommu_iova_range *ranges = calloc(max, sizeof(*ranges));
	struct iommu_iova_range *out = calloc(max + 16, sizeof(*out));
	uint32_t ioas = new_ioas(), nr = max + 16;
	uint64_t iova = 0;
	unsigned int i;

	for (i = 0; i < max; i++) {
		ranges[i].start = BASE + i * 4 * PAGE;
		ranges[i].last = ranges[i].start + PAGE - 1;
	}
	MEASURE("allow_iovas", ioas_allow(iommufd, ioas, ranges, max));
	MEASURE("allow_iovas_again", ioas_allow(iommufd, ioas, ranges, max));
	MEASURE("attach_with_allowed_iovas", vfio_attach(dev, ioas, NULL));
	MEASURE("iova_ranges", ioas_iova_ranges(iommufd, ioas, out, &nr, NULL));
	must("detach", vfio_detach(dev));
	MEASURE_RC("map_into_no_window", -ENOSPC,
		   ioas_map(iommufd, ioas, RW, p, 2 * PAGE, &iova));
	/* The last one is where the device cannot have it. */
	ranges[max - 1].start = 0xfee00000;
	ranges[max - 1].last = 0xfee00fff;
	must("allow", ioas_allow(iommufd, ioas, NULL, 0));
	must("attach", vfio_attach(dev, ioas, NULL));
	MEASURE_RC("allow_iovas_that_are_reserved", -EADDRINUSE,
		   ioas_allow(iommufd, ioas, ranges, max));
	must("detach", vfio_detach(dev));
	MEASURE("destroy_with_allowed_iovas", iommufd_destroy(iommufd, ioas));
	free(ranges);
	free(out);
}

/* ---- ends ---- */

static int close_many_objects(void)
{
	int fd = iommufd_open();
	uint32_t id;

	for (unsigned int i = 0; i < nr_mappings; i++)
		must("IOAS_ALLOC", ioas_alloc(fd, &id));
	begin();
	close(fd);
	return 0;
}

static int close_many_mappings(const char *p)
{
	int fd = iommufd, rc = 0;
	uint32_t ioas;

	iommufd = iommufd_open();
	ioas = new_ioas();
	map_pages(ioas, p, PAGE);
	begin();
	close(iommufd);
	iommufd = fd;
	return rc;
}

/* A device goes with its page table, its pins and its mappings. */
static int close_device(const char *p)
{
	uint32_t ioas = new_ioas();

	map_pages(ioas, p, PAGE);
	must("map", ioas_map_fixed(iommufd, ioas, RW, p, span / 2, 16 * BASE));
	must("attach", vfio_attach(dev, ioas, NULL));
	begin();
	close(dev);
	close(iommufd);
	return 0;
}

/* ---- other things with counts and lengths ---- */

static void hw_info(uint32_t devid)
{
	const size_t length = 0xffffffff;
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = devid,
		.data_len = length,
		.data_uptr = (uintptr_t)memory(4096 * MiB, 64 * MiB, false),
	};

	MEASURE("hw_info_of_4_gib", ioctl_rc(iommufd, IOMMU_GET_HW_INFO, &cmd));
	munmap((void *)(uintptr_t)cmd.data_uptr, 4096 * MiB);
}

static int hot_reset_of_many(void)
{
	struct vfio_pci_hot_reset cmd = {
		.argsz = UINT32_MAX,
		.count = UINT32_MAX,
	};

	return ioctl_rc(dev, VFIO_DEVICE_PCI_HOT_RESET, &cmd);
}

static int irqs_of_many(void)
{
	struct vfio_irq_set cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSI_IRQ_INDEX,
		.count = UINT32_MAX,
	};

	return ioctl_rc(dev, VFIO_DEVICE_SET_IRQS, &cmd);
}

static void logging(char *p)
{
	struct vfio_device_feature_dma_logging_range ranges[256];
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_logging_control start;
	} start = {
		.head.argsz = sizeof(start),
		.head.flags = VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		.start.page_size = PAGE,
		.start.num_ranges = 256,
		.start.ranges = (uintptr_t)ranges,
	};
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_dma_logging_report report;
	} report = {
		.head.argsz = sizeof(report),
		.head.flags = VFIO_DEVICE_FEATURE_GET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		.report.page_size = PAGE,
		.report.length = span * 8 * PAGE,	/* a bit for each page */
		.report.bitmap = (uintptr_t)p,
	};
	char uuid[UUID_LEN + 1];
	uint32_t ioas = new_ioas();
	int fd;

	for (unsigned int i = 0; i < 256; i++) {
		ranges[i].iova = i * (span * 8 * PAGE / 256);
		ranges[i].length = span * 8 * PAGE / 256;
	}
	must("vcopy", vcopy_create("pin", uuid));
	fd = vcopy_open(uuid);
	must("vcopy", fd);
	must("bind", vfio_bind(fd, iommufd, NULL));
	must("attach", vfio_attach(fd, ioas, NULL));
	MEASURE("logging_start", ioctl_rc(fd, VFIO_DEVICE_FEATURE, &start));
	MEASURE("logging_report", ioctl_rc(fd, VFIO_DEVICE_FEATURE, &report));
	close(fd);
	must("vcopy", vcopy_remove(uuid));
	must("destroy", iommufd_destroy(iommufd, ioas));
}

/* ---- kills ---- */

struct victim {
	uint32_t ioas, other;
	char *p;
	long pins;		/* with nothing mapped */
};

static void killed_map(struct victim *v)
{
	ioas_map_fixed(iommufd, v->ioas, RW, v->p, span, BASE);
}

static void killed_copy(struct victim *v)
{
	uint64_t iova = BASE;

	ioas_copy(iommufd, RW | FIXED, v->other, &iova, v->ioas, BASE,
		  nr_mappings * PAGE);
}

static void killed_attach(struct victim *v)
{
	vfio_attach(dev, v->ioas, NULL);
}

static void killed_unmap(struct victim *v)
{
	ioas_unmap_all(iommufd, v->ioas, NULL);
}

/*
 * Kill a process @after_ms into an ioctl of it. The context is ours, so that what
 * is mapped stays; the process has little memory of its own to take down.
 */
static void killed(const char *name, void (*call)(struct victim *v),
		   struct victim *v, unsigned int after_ms)
{
	struct timespec t = { .tv_nsec = after_ms * 1000000L };
	int64_t took;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		be_urgent(false);
		call(v);
		_exit(0);
	}
	nanosleep(&t, NULL);
	took = now_ns();
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	took = now_ns() - took;
	diag("%s: dead %.2f ms after the kill, limit %.0f", name, took / 1e6,
	     KILL_LIMIT_MS);
	if (!WIFSIGNALED(status))
		diag("%s: too late, it had ended by itself", name);
	result(WIFSIGNALED(status) && took / 1e6 <= KILL_LIMIT_MS, name);
}

/* Others, who have the file too, find them as they were, and pinned. */
static void some_are_left(struct victim *v)
{
	long pins = pinned_now() - v->pins;
	uint64_t left = 0;

	must("unmap", ioas_unmap_all(iommufd, v->ioas, &left));
	diag("%lu of %u mappings were left, %ld pins", left / PAGE, nr_mappings,
	     pins);
	result(left && left < nr_mappings * PAGE,
	       "an_unmap_killed_on_the_way_leaves_the_rest");
	result(pins * PAGE == left && pinned_now() == v->pins,
	       "the_rest_is_pinned_until_it_is_unmapped");
}

static void kills(char *p)
{
	struct victim v = { .ioas = new_ioas(), .other = new_ioas(), .p = p };

	be_urgent(true);
	must("attach", vfio_attach(dev, v.ioas, NULL));
	killed("killed_in_a_long_map", killed_map, &v, 20);
	must("detach", vfio_detach(dev));
	must("unmap", ioas_unmap_all(iommufd, v.ioas, NULL));

	v.pins = pinned_now();
	map_pages(v.ioas, p, PAGE);
	killed("killed_in_an_attach", killed_attach, &v, 20);
	must("attach", vfio_attach(dev, v.other, NULL));
	killed("killed_at_the_begin_of_a_copy", killed_copy, &v, 2);
	killed("killed_in_a_copy", killed_copy, &v, 20);
	must("replace", vfio_attach(dev, v.ioas, NULL));
	killed("killed_at_the_begin_of_an_unmap", killed_unmap, &v, 1);
	result(pinned_now() == v.pins + nr_mappings,
	       "an_unmap_killed_at_the_begin_unmaps_nothing");
	killed("killed_amid_an_unmap", killed_unmap, &v, 40);
	some_are_left(&v);
	must("detach", vfio_detach(dev));
	must("destroy", iommufd_destroy(iommufd, v.ioas));
	must("destroy", iommufd_destroy(iommufd, v.other));
	be_urgent(false);
}

static void read_sizes(void)
{
	const char *text = getenv("LATENCY_MAPPINGS");

	if (text)
		nr_mappings = atoi(text);
	text = getenv("LATENCY_MIB");
	if (text)
		span = atoi(text) * MiB;
}

int main(void)
{
	char *scattered, *runs;
	pthread_t watcher;
	uint32_t devid;

	read_sizes();
	printf("TAP version 13\n");
	if (pthread_create(&watcher, NULL, watch, NULL))
		bail("watcher", -EAGAIN);
	begin();
	usleep(200000);
	end("nothing_at_all");

	iommufd = iommufd_open();
	must("/dev/iommu", iommufd);
	dev = edu_open();
	must("edu device", dev);
	must("bind", vfio_bind(dev, iommufd, &devid));

	runs = memory(span, span, false);
	one_large_mapping("pages_in_a_row", runs);
	small_pages(runs);
	munmap(runs, span);
	scattered = memory(span, 64 * MiB, true);
	one_large_mapping("scattered_pages", scattered);
	many_mappings(scattered);
	gaps_that_do_not_fit(scattered);
	allowed_ranges(scattered);
	hw_info(devid);
	MEASURE_RC("hot_reset_with_a_huge_count", -EINVAL, hot_reset_of_many());
	MEASURE_RC("set_irqs_with_a_huge_count", -EINVAL, irqs_of_many());
	logging(scattered);
	kills(scattered);

	close_many_objects();
	end("close_with_many_objects");
	close_many_mappings(scattered);
	end("close_with_many_mappings");
	close_device(scattered);
	end("close_of_device_and_context");
	printf("1..%u\n", nr_results);
	return nr_failed ? 1 : 0;
}
