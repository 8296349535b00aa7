// SPDX-License-Identifier: GPL-2.0
/*
 * Random programs of system calls, led by coverage, in a virtual machine.
 *
 *	vm_fuzz [-t seconds] [-n calls] [-j executors] [-s seed] [-o dir] [-p]
 *		[programs...]
 *	vm_fuzz -r [-t times] programs...	run these and nothing else
 *	vm_fuzz -m programs...			write those of them that are needed
 *
 * A program is a list of calls, a corpus is a file of programs (vm_program.c has
 * the form). What a call is stands in one table (vm_calls.c). Executors, processes
 * with some threads, run programs one after the other (vm_run.c); those that take a
 * new edge of our modules, by KCOV, are kept and changed to get the next
 * (vm_cover.c). On a kernel without KCOV a new errno after another call is all that
 * counts as new, and programs run some ten times as fast.
 *
 * Here is what watches them. It kills executors at random, and now and then all of
 * them: no page may be pinned then. One that stands still must be killable. What the
 * kernel complains about ends it: the program is found, shortened and left in dir
 * (vm_crash.c). In the end everything must be back: pinned pages, the accounts of
 * locked memory, users of the module, the kernel's memory. With -p it tells how long
 * each kind of call took.
 */
#include <fcntl.h>
#include <getopt.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "../kselftest/fault_utils.h"
#include "../kselftest/group_utils.h"
#include "../kselftest/mock_utils.h"
#include "../kselftest/vcopy_utils.h"
#include "vm.h"

#define NR_VCOPY	5

struct shared *shared;

static unsigned int nr_executors = 4;
static unsigned long seed, most_calls;
static struct fuzz_device devices[NR_VCOPY + 1];
static unsigned int nr_devices;
static char uuids[NR_VCOPY][UUID_LEN + 1];
static unsigned int nr_uuids;
static struct timespec began;

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec - began.tv_sec + (now.tv_nsec - began.tv_nsec) / 1e9;
}

/* ---- devices ---- */

/* The sample device, if its module is here: it takes no time to open or reset. */
static void vcopy_find(void)
{
	struct fuzz_device *d;
	char dir[128];
	int fd;

	while (nr_uuids < NR_VCOPY) {
		d = &devices[nr_devices];
		if (vcopy_create(nr_uuids & 1 ? "rw" : "pin", uuids[nr_uuids]))
			return;
		fd = vcopy_open(uuids[nr_uuids]);
		if (fd < 0)
			return;
		snprintf(dir, sizeof(dir), "/proc/self/fd/%d", fd);
		if (readlink(dir, d->file, sizeof(d->file) - 1) < 0)
			return;
		close(fd);
		snprintf(dir, sizeof(dir), MDEV_DEVICES "/%s", uuids[nr_uuids]);
		group_path_of(dir, "", d->group);
		snprintf(d->name, sizeof(d->name), "%s", uuids[nr_uuids]);
		nr_uuids++;
		nr_devices++;
	}
}

/* QEMU's edu device, given to vfio-pci. It goes to the executor that comes last. */
static void edu_find(void)
{
	struct fuzz_device *d = &devices[nr_devices];
	char bdf[16];

	if (edu_path(0, d->file) || pci_find("0x1234", "0x11e8", 0, bdf) ||
	    pci_group_path(bdf, d->group))
		return;
	snprintf(d->name, sizeof(d->name), "%s", bdf);
	nr_devices++;
}

/*
 * A virtual machine that is there all the time. With the first one the kernel changes
 * its own code, and back with the last, and QEMU 7.2 with a thread for each processor
 * can go on with what was there in between (docs/vm.md).
 */
static bool kvm_keep(void)
{
	int kvm, vm;

	if (system("modprobe -q kvm_amd 2> /dev/null"))
		return false;
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	close(kvm);
	/* Out of the way of those that are closed by number. */
	return vm >= 0 && fcntl(vm, F_DUPFD_CLOEXEC, 200) >= 0 && !close(vm);
}

/* ---- what must be as before ---- */

struct balance {
	long pins, users, slab;
};

static long number_in(const char *path, const char *key)
{
	FILE *f = fopen(path, "r");
	char line[256];
	long value = -1;

	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			value = atol(line + strlen(key));
	if (f)
		fclose(f);
	return value;
}

static void balance_take(struct balance *b)
{
	b->pins = pinned_now();
	b->users = number_in("/sys/module/iommufd/refcnt", "");
	b->slab = number_in("/proc/meminfo", "SUnreclaim:");
}

#define LIMIT	64U

/* Just as many pages as the limit allows: more or fewer, and something is left. */
static int accounts_child(void)
{
	const struct rlimit limit = { LIMIT * PAGE, LIMIT * PAGE };
	int fd = iommufd_open();
	struct stdev stdev;
	unsigned char *p;
	uint32_t ioas;

	p = pages_alloc((LIMIT + 1) * PAGE);
	if (fd < 0 || !p || ioas_alloc(fd, &ioas) || stdev_add(fd, ioas, &stdev) ||
	    setrlimit(RLIMIT_MEMLOCK, &limit) || drop_cap(CAP_IPC_LOCK))
		return 2;
	if (ioas_map_fixed(fd, ioas, RW, p, LIMIT * PAGE, BASE))
		return 1;
	return ioas_map_fixed(fd, ioas, RW, p + LIMIT * PAGE, PAGE,
			      BASE + MiB) == -ENOMEM ? 0 : 1;
}

static bool accounts_back(void)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(accounts_child());
	return waitpid(pid, &status, 0) == pid && !status;
}

static int test_nr;

static bool result(bool ok, const char *name)
{
	printf("%sok %d %s\n", ok ? "" : "not ", ++test_nr, name);
	return ok;
}

/* ---- the report ---- */

static unsigned long total(unsigned long *ok)
{
	unsigned long calls = 0;
	unsigned int i, e;

	*ok = 0;
	for (i = 0; i < nr_kinds(); i++) {
		*ok += shared->kinds[i].ok;
		calls += shared->kinds[i].ok;
		for (e = 0; e < NR_ERRNO; e++)
			/* No file to do it with: it did not get as far as us */
			calls += e == EBADF ? 0 : shared->kinds[i].failed[e];
	}
	return calls;
}

static unsigned long programs_run(void)
{
	unsigned long n = 0;
	unsigned int i;

	for (i = 0; i < MAX_EXECUTORS; i++)
		n += shared->executors[i].programs;
	return n;
}

static void curve(bool first)
{
	unsigned long ok, calls = total(&ok);

	if (first)
		printf("# seconds    calls       ok programs blocks  edges corpus kills\n");
	printf("# %7.0f %8lu %8lu %8lu %6u %6u %6u %5lu\n", seconds(), calls, ok,
	       programs_run(), cover->blocks, cover->edges, shared->nr_corpus,
	       shared->kills);
}

static const char *errno_name(unsigned int e)
{
	static char number[12];
	const char *name = strerrorname_np(e);

	if (name)
		return name;
	snprintf(number, sizeof(number), "%u", e);
	return number;
}

/* One line for each kind of call: how often, and with what result */
static void table(void)
{
	unsigned int i, e, ioctls = 0, worked = 0;
	unsigned long ok, calls = total(&ok), of_ioctls = 0, n;

	printf("# call: executed, succeeded; failed with\n");
	for (i = 0; i < nr_kinds(); i++) {
		struct kind_count *k = &shared->kinds[i];

		n = k->ok;
		for (e = 0; e < NR_ERRNO; e++)
			n += e == EBADF ? 0 : k->failed[e];
		if (kind_is_ioctl(i)) {
			of_ioctls += n;
			ioctls += !kind_is_refused(i);
			worked += !kind_is_refused(i) && k->ok;
		}
		printf("# %s: %lu, %lu;", kind_name(i), n, k->ok);
		for (e = 0; e < NR_ERRNO; e++)
			if (k->failed[e] && e != EBADF)
				printf(" %s %lu", errno_name(e), k->failed[e]);
		if (shared->profile && n)
			printf("; %.1f us each, %.1f s", k->ns / 1e3 / n, k->ns / 1e9);
		printf("%s\n", kind_is_refused(i) ? " (refused by design)" :
		       k->ok || !kind_is_ioctl(i) ? "" : " (never succeeded)");
	}
	printf("# %.0f s: %lu programs, %lu calls (%lu of them ioctls), %lu succeeded, %lu failed (%lu were aimed, %lu of them succeeded), %.0f calls/s; %u of %u kinds of ioctl succeeded; %lu kills, %lu forks; %u blocks, %u edges; %u programs kept\n",
	       seconds(), programs_run(), calls, of_ioctls, ok, calls - ok,
	       shared->aimed, shared->aimed_ok, calls / (seconds() + 1e-9), worked, ioctls, shared->kills,
	       shared->forks, cover->blocks, cover->edges, shared->nr_corpus);
}

static void corpus_write(const char *dir)
{
	unsigned int i, nr = __atomic_load_n(&shared->nr_corpus, __ATOMIC_ACQUIRE);
	char path[4096], new[4096];
	FILE *f;

	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/corpus.txt", dir);
	snprintf(new, sizeof(new), "%s/corpus.new", dir);
	f = fopen(new, "w");
	if (!f) {
		perror(new);
		return;
	}
	for (i = 0; i < nr; i++)
		program_write(f, "", &shared->corpus[i]);
	fclose(f);
	rename(new, path);
}

/* ---- watching ---- */

static unsigned int patience(void)
{
	const char *factor = getenv("TEST_PATIENCE");

	return factor && atoi(factor) > 1 ? atoi(factor) : 1;
}

static bool executor_end(unsigned int nr)
{
	struct executor *e = &shared->executors[nr];

	if (e->pid <= 0)
		return true;
	kill(e->pid, SIGKILL);
	if (!ends(e->pid, 60000 * patience())) {
		printf("# executor %u cannot be killed:\n", nr);
		program_write(stdout, "#   ",
			      &e->recent[(e->nr_recent - 1) % NR_RECENT]);
		return false;
	}
	e->pid = 0;
	return true;
}

static bool watch(long limit, const char *dir)
{
	unsigned long seen[MAX_EXECUTORS] = { 0 }, restarts = 0, calls_ok;
	double moved[MAX_EXECUTORS] = { 0 }, told = 0, next = 1, kill_at = 2, look = 15;
	const char *said = NULL;
	bool ok = true;
	unsigned int i;

	curve(true);
	while (ok && !said && seconds() < limit) {
		for (i = 0; i < nr_executors; i++) {
			struct executor *e = &shared->executors[i];

			if (e->pid > 0 && waitpid(e->pid, NULL, WNOHANG) == e->pid)
				e->pid = 0;
			if (e->pid > 0 && e->nr_recent == seen[i] &&
			    seconds() - moved[i] > 10 * patience())
				ok = executor_end(i);
			if (e->pid <= 0 && ok) {
				e->pid = executor_fork(i, seed + 1000003 * i +
							  7919 * restarts++);
				moved[i] = seconds();
			}
			if (e->nr_recent != seen[i]) {
				seen[i] = e->nr_recent;
				moved[i] = seconds();
			}
		}
		if (seconds() >= kill_at) {
			ok = executor_end(below(nr_executors)) && ok;
			shared->kills++;
			kill_at = seconds() + (0.2 + below(2000) / 1000.0) *
						(patience() > 1 ? 4 : 1);
		}
		said = complaint();
		if (ok && !said && seconds() >= look) {
			for (i = 0; i < nr_executors; i++)
				ok = executor_end(i) && ok;
			said = complaint_of_pages(30);
			look = seconds() + 15;
			if (most_calls && total(&calls_ok) >= most_calls)
				limit = 0;
		}
		if (seconds() >= next) {
			curve(false);
			next = next < 10 ? next * 2 : next < 60 ? next + 10 :
			       next < 600 ? next + 30 : next + 300;
		}
		if (seconds() - told > 60) {
			corpus_write(dir);
			told = seconds();
		}
		usleep(50000);
	}
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < nr_executors; i++)
		ok = executor_end(i) && ok;
	if (!said)
		said = complaint();
	curve(false);
	if (said)
		crash_report(dir, said);
	corpus_write(dir);
	return ok && !said;
}

/* ---- the other ways ---- */

static bool repeat(unsigned int times)
{
	const char *said;
	unsigned int i;
	bool ok = true;

	for (i = 0; i < nr_seeds; i++) {
		program_write(stdout, "# ", &seeds[i]);
		if (!program_try(&seeds[i], times)) {
			printf("# cannot be killed\n");
			ok = false;
		}
		usleep(100000);
		said = complaint();
		if (said)
			printf("# the kernel says: %s\n", said);
		ok = ok && !said;
	}
	return ok;
}

static int by_length(const void *a, const void *b)
{
	return (int)((const struct program *)a)->nr - (int)((const struct program *)b)->nr;
}

/* Let one executor run all, the short ones first: what it keeps is needed. */
static void minimise(const char *dir)
{
	qsort(seeds, nr_seeds, sizeof(*seeds), by_length);
	shared->executors[0].pid = executor_fork(0, seed);
	while (shared->next_seed <= nr_seeds)
		usleep(10000);
	__atomic_store_n(&shared->stop, true, __ATOMIC_RELAXED);
	executor_end(0);
	curve(true);
	corpus_write(dir);
}

int main(int argc, char **argv)
{
	enum { FUZZ, REPEAT, MINIMISE } mode = FUZZ;
	struct balance before, after;
	const char *dir = NULL;
	bool ok = true;
	long number = -1;
	unsigned int i;
	FILE *f;
	int c;

	if (argc > 1 && !strcmp(argv[1], "-I")) {
		call_inherited(argc - 2, argv + 2);
		return 0;
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cover = cover_new();
	if (shared == MAP_FAILED || !cover)
		return 2;
	seed = time(NULL);
	while ((c = getopt(argc, argv, "t:n:j:s:o:rmp")) != -1) {
		switch (c) {
		case 't':
			number = atol(optarg);
			break;
		case 'n':
			most_calls = strtoul(optarg, NULL, 0);
			break;
		case 'j':
			nr_executors = atoi(optarg);
			break;
		case 's':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 'o':
			dir = optarg;
			break;
		case 'r':
			mode = REPEAT;
			break;
		case 'm':
			mode = MINIMISE;
			break;
		case 'p':
			shared->profile = true;
			break;
		default:
			return 2;
		}
	}
	if (nr_executors < 1 || nr_executors > MAX_EXECUTORS)
		return 2;
	setlinebuf(stdout);
	seeds = mmap(NULL, MAX_CORPUS * sizeof(*seeds), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (; seeds != MAP_FAILED && optind < argc; optind++)
		nr_seeds += programs_load(argv[optind], seeds + nr_seeds,
					  MAX_CORPUS - nr_seeds);
	/* Not at the end of memory: it is no fault of a program's. */
	f = fopen("/proc/self/oom_score_adj", "w");
	if (f) {
		fprintf(f, "-1000\n");
		fclose(f);
	}
	if (!kvm_keep())
		printf("# no KVM\n");
	vcopy_find();
	edu_find();
	executor_devices(devices, nr_devices ?: 1);
	if (!fault_none() && (fault_setup() || fault_choose(FAULT_PAGES)))
		printf("# faults cannot be set up\n");
	shared->kcov = !access("/sys/kernel/debug/kcov", F_OK);
	random_seed(seed);
	complaints_begin();
	clock_gettime(CLOCK_MONOTONIC, &began);
	printf("TAP version 13\n1..%d\n", mode == FUZZ ? 5 : 1);
	printf("# seed %#lx, %u devices, %u executors, %u programs to begin with, %s\n",
	       seed, nr_devices, nr_executors, nr_seeds,
	       shared->kcov ? "KCOV" : "no KCOV");
	if (mode == REPEAT) {
		ok = result(repeat(number < 1 ? 1 : number), "the kernel has nothing to say");
		goto out;
	}
	if (mode == MINIMISE) {
		minimise(dir);
		ok = result(true, "minimised");
		goto out;
	}
	/* A child of its own, so that what is made once is made. */
	accounts_back();
	balance_take(&before);
	ok = result(watch(number < 0 ? 60 : number, dir), "random programs of calls");
	memory_limit(iommufd_open(), NO_LIMIT);
	fail_attach(iommufd_open(), 0, 0);
	for (i = 3; i < 64; i++)
		close(i);
	table();
	/* What is freed after a grace period is freed after it. */
	sleep(1);
	balance_take(&after);
	printf("# pins %ld, then %ld; users of the module %ld, then %ld; slab %ld kB, then %ld kB\n",
	       before.pins, after.pins, before.users, after.users, before.slab,
	       after.slab);
	ok = result(after.pins == before.pins, "no page is left pinned") && ok;
	ok = result(after.users == before.users, "no user of the module is left") && ok;
	ok = result(access("/dev/iommu", F_OK) || accounts_back(),
		    "no memory is left accounted") && ok;
	/* Caches keep slabs; what a program forgets a million times is more. */
	ok = result(after.slab - before.slab < (shared->kcov ? 256 : 24) << 10,
		    "the kernel's memory is back") && ok;
out:
	for (i = 0; i < nr_uuids; i++)
		vcopy_remove(uuids[i]);
	return !ok;
}
