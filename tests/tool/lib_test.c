// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the library that need no device: addresses, errors without a place to
 * put them, objects that do not exist. "ok NAME" or "not ok NAME" a line; the
 * script "host" makes TAP of it.
 *
 *   lib_test ROOT	ROOT is a made-up system with /dev/iommu a plain file and the
 *			function 0000:01:00.0 with cdev vfio3, a plain file as well,
 *			which a process has open; a disk of 0000:02:00.0 is mounted;
 *			the function 0000:05:00.0 has the cdev vfio5, 1:3
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "vfio-cdev.h"

static int failed;

static void check(const char *name, bool good)
{
	printf("%s %s\n", good ? "ok" : "not ok", name);
	if (!good)
		failed = 1;
}

static void test_addresses(void)
{
	static const struct {
		const char *text, *bdf;
	} cases[] = {
		{ "0000:01:00.0", "0000:01:00.0" },
		{ "01:00.0", "0000:01:00.0" },
		{ "ABCD:EF:1F.7", "abcd:ef:1f.7" },
		{ "10000:e1:00.0", "10000:e1:00.0" },
		{ "1:2.3", "0000:01:02.3" },
		{ "", NULL }, { "01", NULL }, { "01:00", NULL }, { "01:00.", NULL },
		{ "01:20.0", NULL }, { "01:00.8", NULL }, { "01:00.00", NULL },
		{ "001:00.0", NULL }, { "0000:001:00.0", NULL }, { " 01:00.0", NULL },
		{ "01:00.0 ", NULL }, { "-1:00.0", NULL }, { "0x1:00.0", NULL },
		{ "100000000:01:00.0", NULL }, { "0000:01:00.0:01:00.0", NULL },
	};
	char bdf[VCDEV_BDF_LEN], name[64];
	size_t i;
	int rc;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(bdf, 'x', sizeof(bdf));
		rc = vcdev_bdf_parse(cases[i].text, bdf);
		snprintf(name, sizeof(name), "address '%s'", cases[i].text);
		check(name, cases[i].bdf ? !rc && !strcmp(bdf, cases[i].bdf) : rc == -EINVAL);
	}
}

static void test_errors(const struct vcdev_host *host)
{
	struct vcdev_error err = { .code = 7 };
	struct vcdev_dev *dev = NULL;
	struct vcdev_ctx *ctx = NULL;
	struct vcdev_pci pci;
	uint32_t ioas;
	char byte;

	check("err may be NULL", vcdev_pci_get(host, "09:00.0", &pci, NULL) == -ENODEV);
	check("err is set on failure",
	      vcdev_pci_get(host, "09:00.0", &pci, &err) == -ENODEV && err.code == -ENODEV &&
	      err.text[0] && err.hint[0]);
	err.code = 7;
	check("err is left alone on success",
	      !vcdev_pci_get(host, "01:00.0", &pci, &err) && err.code == 7);
	check("close(NULL) is allowed", (vcdev_dev_close(NULL), vcdev_ctx_close(NULL), true));
	check("open of what is not there leaves the result alone",
	      vcdev_dev_open(host, "09:00.0", &dev, &err) == -ENODEV && !dev);

	check("a plain file opens as a context", !vcdev_ctx_open(host, &ctx, &err) && ctx);
	if (!ctx)
		return;
	check("and answers ENOTTY", vcdev_ioas_alloc(ctx, &ioas, &err) == -ENOTTY &&
	      strstr(err.text, "cannot make an IOAS"));
	check("destroy passes errno on", vcdev_destroy(ctx, 1, &err) == -ENOTTY);
	check("a plain file opens as a device", !vcdev_dev_open(host, "01:00.0", &dev, &err));
	if (dev) {
		struct vcdev_dev_info info;
		struct vcdev_region region;
		struct vcdev_irq irq;
		int fd = -1;

		check("info before bind is EINVAL",
		      vcdev_dev_info(dev, &info, &err) == -EINVAL);
		check("region before bind is EINVAL",
		      vcdev_region_get(dev, 0, &region, &err) == -EINVAL);
		check("read before bind is EINVAL",
		      vcdev_region_read(dev, 0, 0, &byte, 1, &err) == -EINVAL);
		check("irq before bind is EINVAL", vcdev_irq_get(dev, 0, &irq, &err) == -EINVAL);
		check("no eventfds is EINVAL",
		      vcdev_irq_enable(dev, VFIO_PCI_MSI_IRQ_INDEX, &fd, 0, &err) == -EINVAL);
		check("bind passes errno on", vcdev_dev_bind(dev, ctx, &err) == -ENOTTY);
		check("attach passes errno on", vcdev_dev_attach(dev, 1, NULL, &err) == -ENOTTY);
		check("detach passes errno on", vcdev_dev_detach(dev, &err) == -ENOTTY);
		check("reset passes errno on", vcdev_dev_reset(dev, &err) == -ENOTTY);
		vcdev_dev_close(dev);
	}
	vcdev_ctx_close(ctx);
}

static void test_drivers(const struct vcdev_host *host)
{
	struct vcdev_error err;

	check("from one VFIO driver to another while it is open is EBUSY",
	      vcdev_driver_bind(host, "01:00.0", "other_vfio_pci", &err) == -EBUSY &&
	      strstr(err.text, "is in use by process"));
	check("a driver for what is mounted is EBUSY",
	      vcdev_driver_bind(host, "02:00.0", "vfio-pci", &err) == -EBUSY &&
	      strstr(err.text, "is mounted at /srv/data"));
}

static void pass(const char *pid, const char *nr, const char *names)
{
	char own[16];

	snprintf(own, sizeof(own), "%d", getpid());
	setenv("LISTEN_PID", pid ? pid : own, 1);
	setenv("LISTEN_FDS", nr, 1);
	setenv("LISTEN_FDNAMES", names, 1);
}

/* In @host the numbers of /dev/iommu and of vfio5 are those of /dev/null. */
static void test_passed(const struct vcdev_host *host)
{
	char (*bdfs)[VCDEV_BDF_LEN] = NULL, name[VCDEV_NAME_LEN];
	struct vcdev_dev *dev = NULL;
	struct vcdev_ctx *ctx = NULL;
	struct vcdev_error err;
	int fd;

	check("the name of a device that is passed", !vcdev_passed_name("1:0.0", name) &&
	      !strcmp(name, "vfio-0000-01-00.0"));
	check("the name of no device", vcdev_passed_name("vfio3", name) == -EINVAL);

	/* Numbers 3 to 6: those of this program have begun behind them */
	for (fd = 3; fd < 6; fd++)
		dup2(open("/dev/null", O_RDWR), fd);
	dup2(open("/dev/zero", O_RDWR), 6);
	pass("1", "4", "iommufd");
	check("files for another process are not ours",
	      vcdev_passed_devices(&bdfs, &err) == 0);
	free(bdfs);
	pass(NULL, "2x", "iommufd");
	check("a number that is none is 0", vcdev_passed_devices(&bdfs, &err) == 0);
	free(bdfs);
	pass(NULL, "4", "other:vfio-0000-05-00.0:iommufd:vfio-06-00.0:vfio-07-00.0");
	check("the devices among the files, as far as there are files",
	      vcdev_passed_devices(&bdfs, &err) == 2 && !strcmp(bdfs[0], "0000:05:00.0") &&
	      !strcmp(bdfs[1], "0000:06:00.0"));
	free(bdfs);
	check("a context that was passed", !vcdev_ctx_open(host, &ctx, &err) &&
	      vcdev_ctx_fd(ctx) == 5 && fcntl(5, F_GETFD) == FD_CLOEXEC);
	vcdev_ctx_close(ctx);
	check("belongs to its object", fcntl(5, F_GETFD) < 0);
	check("and is taken once", !vcdev_ctx_open(host, &ctx, &err) &&
	      !(fcntl(vcdev_ctx_fd(ctx), F_GETFL) & O_PATH));
	fd = vcdev_ctx_fd(ctx);
	vcdev_ctx_close(ctx);
	check("even if its number is used again", !vcdev_ctx_open(host, &ctx, &err) &&
	      vcdev_ctx_fd(ctx) == fd);
	vcdev_ctx_close(ctx);
	check("a device that was passed", !vcdev_dev_open(host, "05:00.0", &dev, &err) &&
	      vcdev_dev_fd(dev) == 4);
	vcdev_dev_close(dev);
	pass(NULL, "4", "other:vfio-0000-05-00.0:iommufd:vfio-0000-05-00.0");
	check("a file that is another than its name says is EINVAL",
	      vcdev_dev_open(host, "05:00.0", &dev, &err) == -EINVAL &&
	      strstr(err.text, "is not vfio5"));
	unsetenv("LISTEN_PID");
	close(3);
	close(6);
}

static bool count_progress(uint64_t done, uint64_t total, void *arg)
{
	uint64_t *last = arg;

	if (done < last[0] || done > total)
		last[1]++;
	last[0] = done;
	last[2]++;
	return true;
}

/* The most threads that there were */
static bool count_threads(uint64_t done, uint64_t total, void *arg)
{
	unsigned int *most = arg, nr = 0;
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;

	(void)done;
	(void)total;
	while (dir && (entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	if (nr > *most)
		*most = nr;
	return true;
}

static bool stop_at_once(uint64_t done, uint64_t total, void *arg)
{
	(void)done, (void)total, (void)arg;
	return false;
}

static size_t count_present(void *mem, size_t length)
{
	static unsigned char pages[200 << 20 >> 12];
	size_t i, nr = 0;

	if (mincore(mem, length, pages))
		return 0;
	for (i = 0; i < length >> 12; i++)
		nr += pages[i] & 1;
	return nr;
}

/* As many threads as processors that the caller may use; here, one and all. */
static void test_populate_affinity(size_t length)
{
	unsigned int most = 0, first = 0;
	struct vcdev_error err;
	cpu_set_t all, one;
	char *mem;

	mem = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sched_getaffinity(0, sizeof(all), &all))
		return;
	while (!CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	sched_setaffinity(0, sizeof(one), &one);
	check("on one processor it is one thread",
	      !vcdev_populate(mem, length, 0, count_threads, &most, &err) && most == 1);
	sched_setaffinity(0, sizeof(all), &all);
	madvise(mem, length, MADV_DONTNEED);
	most = 0;
	check("and never more than processors",
	      !vcdev_populate(mem, length, 0, count_threads, &most, &err) &&
	      most <= (unsigned int)CPU_COUNT(&all));
	munmap(mem, length);
}

static void test_populate(void)
{
	/* Not a multiple of the pieces that the threads take */
	const size_t length = (100 << 20) + 4096, nr = length >> 12;
	uint64_t progress[3] = { 0 };
	struct vcdev_error err;
	unsigned int threads;
	char *mem, name[64];

	for (threads = 0; threads <= 4; threads += 2) {
		mem = mmap(NULL, length, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mem[4096] = 'x';
		memset(progress, 0, sizeof(progress));
		snprintf(name, sizeof(name), "memory is brought in by %u threads", threads);
		check(name, count_present(mem, length) < nr / 2 + 1024 &&
		      !vcdev_populate(mem, length, threads, count_progress, progress, &err) &&
		      count_present(mem, length) == nr && mem[4096] == 'x');
		check("progress goes forward and ends at the end",
		      progress[0] == length && !progress[1] && progress[2]);
		munmap(mem, length);
	}
	test_populate_affinity(length);
	mem = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check("it can be stopped", vcdev_populate(mem, length, 1, stop_at_once, NULL, &err) ==
	      -ECANCELED && count_present(mem, length) < nr);
	check("nothing is nothing", !vcdev_populate(mem, 0, 0, NULL, NULL, &err));
	check("half a page is EINVAL",
	      vcdev_populate(mem + 2048, 4096, 1, NULL, NULL, &err) == -EINVAL && err.hint[0]);
	munmap(mem + (50 << 20), 4096);
	check("a hole is ENOMEM", vcdev_populate(mem, length, 2, NULL, NULL, &err) == -ENOMEM &&
	      strstr(err.text, "cannot bring in"));
	mprotect(mem, 4096, PROT_READ);
	check("read-only memory is EINVAL", vcdev_populate(mem, 4096, 1, NULL, NULL, &err) ==
	      -EINVAL);
	munmap(mem, length);
}

static void test_long_root(void)
{
	static char root[8192];
	struct vcdev_host host = { .root = root };
	struct vcdev_error err;
	struct vcdev_pci pci;

	memset(root, 'a', sizeof(root) - 1);
	root[0] = '/';
	check("a root longer than any path is ENODEV, not an overflow",
	      vcdev_pci_get(&host, "01:00.0", &pci, &err) == -ENODEV);
}

int main(int argc, char **argv)
{
	struct vcdev_host host = { .root = argc == 2 ? argv[1] : "" };
	int fds;

	if (argc != 2)
		return 2;
	/* The numbers that test_passed() takes are its own. */
	for (fds = 3; fds < 7; fds++)
		close(fds);
	test_passed(&host);
	for (fds = 3; fds < 64; fds++)
		close(fds);
	fds = dup(0);
	close(fds);
	test_addresses();
	test_errors(&host);
	test_drivers(&host);
	test_long_root();
	test_populate();
	/* Every file that was opened has been closed: the next number is the same. */
	check("no file descriptor leaks", dup(0) == fds);
	return failed;
}
