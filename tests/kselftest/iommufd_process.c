// SPDX-License-Identifier: GPL-2.0
/*
 * Whose pages they are: what is pinned from files is handed from one process to
 * another (IOMMU_IOAS_CHANGE_PROCESS), and processes exec and die. Needs the
 * mock.
 *
 * What a process is charged with shows as VmPin. What a user is charged with
 * does not show: a process of that user, without privileges, finds out what the
 * limit leaves room for.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "mock_utils.h"
#include "slow_memory.h"
#include "kselftest_harness.h"

#define NR	8UL		/* pages of what is mapped */
#define SIZE	(NR * PAGE)
#define MUCH	(64 * MiB)	/* takes a while to pin */
#define NOBODY	65534
#define SOMEBODY 65533

/* Pages that a process is charged with. */
static long charged(pid_t pid)
{
	char path[64], line[128];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmPin: %ld kB", &kb);
	if (f)
		fclose(f);
	return kb < 0 ? -1 : kb * 1024 / (long)PAGE;
}

static int limit_to(unsigned long pages, uid_t uid)
{
	struct rlimit limit = { pages * PAGE, pages * PAGE };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setresgid(uid, uid, uid) ||
	    setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

/*
 * A child that does one thing after another on request: what it was asked for,
 * and what it answers, go through pipes.
 */
enum order { CHANGE, MAP, MAP_MORE, MAP_MEMORY, UNMAP, UNMAP_MEMORY, EXEC };

struct child {
	pid_t pid;
	int orders, answers;	/* descriptors */
};

struct job {
	int fd;			/* iommufd */
	uint32_t ioas;
	int file;
};

#define MEMORY_IOVA	(BASE + 16 * MiB)

static int do_job(const struct job *job, enum order order)
{
	switch (order) {
	case CHANGE:
		return ioas_change_process(job->fd);
	case MAP:
		return map_file_fixed(job->fd, job->ioas, RW, job->file, 0,
				      SIZE, BASE);
	case MAP_MORE:
		return map_file_fixed(job->fd, job->ioas, RW, job->file, 0,
				      PAGE, BASE + MiB);
	case MAP_MEMORY:
		return ioas_map_fixed(job->fd, job->ioas, RW, pages_alloc(SIZE),
				      SIZE, MEMORY_IOVA);
	case UNMAP:
		return ioas_unmap_all(job->fd, job->ioas, NULL);
	case UNMAP_MEMORY:
		return ioas_unmap(job->fd, job->ioas, MEMORY_IOVA, SIZE, NULL);
	default:
		return -EINVAL;
	}
}

static void child_loop(const struct job *job, int orders, int answers)
{
	enum order order;
	char args[5][16];
	int rc;

	while (read(orders, &order, sizeof(order)) == sizeof(order)) {
		if (order == EXEC) {
			snprintf(args[0], 16, "%d", job->fd);
			snprintf(args[1], 16, "%u", job->ioas);
			snprintf(args[2], 16, "%d", job->file);
			snprintf(args[3], 16, "%d", orders);
			snprintf(args[4], 16, "%d", answers);
			execl("/proc/self/exe", "iommufd_process", "--child",
			      args[0], args[1], args[2], args[3], args[4], NULL);
			rc = -errno;
		} else {
			rc = do_job(job, order);
		}
		if (write(answers, &rc, sizeof(rc)) != sizeof(rc))
			break;
	}
	_exit(0);
}

/* After an exec. Tells that it is there. */
static void __attribute__((constructor)) child_after_exec(int argc, char **argv)
{
	struct job job;
	int rc = 0;

	if (argc != 7 || strcmp(argv[1], "--child"))
		return;
	job.fd = atoi(argv[2]);
	job.ioas = atoi(argv[3]);
	job.file = atoi(argv[4]);
	if (write(atoi(argv[6]), &rc, sizeof(rc)) == sizeof(rc))
		child_loop(&job, atoi(argv[5]), atoi(argv[6]));
	_exit(1);
}

/* @uid: NOBODY ... to live under a limit of @pages, 0 for no limit */
static int child_start(struct child *child, const struct job *job, uid_t uid,
		       unsigned long pages)
{
	int orders[2], answers[2], rc = 0;

	if (pipe(orders) || pipe(answers))
		return -errno;
	child->pid = fork();
	if (!child->pid) {
		close(orders[1]);
		close(answers[0]);
		if (uid)
			rc = limit_to(pages, uid);
		if (write(answers[1], &rc, sizeof(rc)) != sizeof(rc))
			_exit(1);
		child_loop(job, orders[0], answers[1]);
	}
	close(orders[0]);
	close(answers[1]);
	child->orders = orders[1];
	child->answers = answers[0];
	if (read(child->answers, &rc, sizeof(rc)) != sizeof(rc))
		return -EIO;
	return rc;
}

static int child_do(struct child *child, enum order order)
{
	int rc;

	if (write(child->orders, &order, sizeof(order)) != sizeof(order) ||
	    read(child->answers, &rc, sizeof(rc)) != sizeof(rc))
		return -EIO;
	return rc;
}

static void child_end(struct child *child)
{
	/* Its brothers have the pipes open, too. */
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->orders);
	close(child->answers);
}

FIXTURE(process)
{
	struct job job;
	struct stdev dev;
	pid_t self;
	long pins;
};

FIXTURE_VARIANT(process)
{
	uint64_t limited;	/* IOMMU_OPTION_RLIMIT_MODE */
};

FIXTURE_VARIANT_ADD(process, user_limit) { .limited = 0 };
FIXTURE_VARIANT_ADD(process, process_limit) { .limited = 1 };

FIXTURE_SETUP(process)
{
	uint64_t limited = variant->limited;

	self->self = getpid();
	self->pins = pinned_now();
	self->job.fd = iommufd_open();
	ASSERT_LE(0, self->job.fd);
	/* An exec keeps it. */
	ASSERT_EQ(0, fcntl(self->job.fd, F_SETFD, 0));
	ASSERT_EQ(0, iommufd_option(self->job.fd, IOMMU_OPTION_RLIMIT_MODE,
				    IOMMU_OPTION_OP_SET, 0, &limited));
	ASSERT_EQ(0, ioas_alloc(self->job.fd, &self->job.ioas));
	ASSERT_EQ(0, stdev_add(self->job.fd, self->job.ioas, &self->dev));
	self->job.file = memfd_create("process", 0);
	ASSERT_LE(0, self->job.file);
	ASSERT_EQ(0, ftruncate(self->job.file, MUCH));
	ASSERT_EQ(0, charged(self->self));
}

FIXTURE_TEARDOWN(process)
{
	close(self->job.fd);
	close(self->job.file);
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(process, the_next_process_takes_over_what_is_pinned)
{
	struct child child;

	ASSERT_EQ(0, child_start(&child, &self->job, 0, 0));
	ASSERT_EQ(0, do_job(&self->job, MAP));
	EXPECT_EQ(NR, charged(self->self));
	EXPECT_EQ(0, charged(child.pid));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(NR, charged(child.pid));
	/* and back, and once more */
	EXPECT_EQ(0, do_job(&self->job, CHANGE));
	EXPECT_EQ(NR, charged(self->self));
	EXPECT_EQ(0, charged(child.pid));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(NR, charged(child.pid));

	/* What this one maps now is its own. */
	ASSERT_EQ(0, do_job(&self->job, MAP_MORE));
	EXPECT_EQ(1, charged(self->self));
	EXPECT_EQ(NR, charged(child.pid));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(NR + 1, charged(child.pid));

	EXPECT_EQ(0, do_job(&self->job, UNMAP));
	EXPECT_EQ(0, charged(child.pid));
	child_end(&child);
}

TEST_F(process, the_same_process_changes_nothing)
{
	struct rlimit limit = { PAGE, RLIM_INFINITY };
	struct child child;

	EXPECT_EQ(0, do_job(&self->job, CHANGE));
	ASSERT_EQ(0, do_job(&self->job, MAP));
	EXPECT_EQ(0, do_job(&self->job, CHANGE));
	EXPECT_EQ(NR, charged(self->self));
	ASSERT_EQ(0, do_job(&self->job, UNMAP));

	/* ... under a limit that it has reached, or has been put below */
	ASSERT_EQ(0, child_start(&child, &self->job, NOBODY, NR));
	ASSERT_EQ(0, child_do(&child, MAP));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(NR, charged(child.pid));
	ASSERT_EQ(0, prlimit(child.pid, RLIMIT_MEMLOCK, &limit, NULL));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(NR, charged(child.pid));
	child_end(&child);
}

TEST_F(process, memory_of_a_process_stays_with_it)
{
	struct child child;
	uint32_t other;

	ASSERT_EQ(0, child_start(&child, &self->job, 0, 0));
	ASSERT_EQ(0, do_job(&self->job, MAP));
	ASSERT_EQ(0, do_job(&self->job, MAP_MEMORY));
	EXPECT_EQ(-EINVAL, child_do(&child, CHANGE));
	EXPECT_EQ(-EINVAL, do_job(&self->job, CHANGE));
	EXPECT_EQ(2 * NR, charged(self->self));
	EXPECT_EQ(0, charged(child.pid));
	ASSERT_EQ(0, do_job(&self->job, UNMAP_MEMORY));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(NR, charged(child.pid));

	/* also where nothing is pinned, and whoever mapped it */
	ASSERT_EQ(0, ioas_alloc(self->job.fd, &other));
	ASSERT_EQ(0, ioas_map_fixed(self->job.fd, other, RW, (void *)PAGE,
				    PAGE, 0));
	EXPECT_EQ(-EINVAL, do_job(&self->job, CHANGE));
	EXPECT_EQ(NR, charged(child.pid));
	ASSERT_EQ(0, iommufd_destroy(self->job.fd, other));
	EXPECT_EQ(0, do_job(&self->job, CHANGE));
	EXPECT_EQ(NR, charged(self->self));
	ASSERT_EQ(0, child_do(&child, MAP_MEMORY));
	EXPECT_EQ(-EINVAL, child_do(&child, CHANGE));
	EXPECT_EQ(-EINVAL, do_job(&self->job, CHANGE));
	EXPECT_EQ(NR, charged(self->self));
	EXPECT_EQ(NR, charged(child.pid));
	child_end(&child);
	EXPECT_EQ(-EINVAL, do_job(&self->job, CHANGE));
}

TEST_F(process, pages_in_several_spaces_move_once)
{
	uint32_t other, pages;
	struct child child;
	struct stdev dev;
	int access;

	ASSERT_EQ(0, child_start(&child, &self->job, 0, 0));
	ASSERT_EQ(0, do_job(&self->job, MAP));
	ASSERT_EQ(0, ioas_alloc(self->job.fd, &other));
	ASSERT_EQ(0, stdev_add_to_unit(self->job.fd, other,
				       MOCK_UNIT_LARGE, &dev));
	ASSERT_EQ(0, ioas_copy_fixed(self->job.fd, RW, other, BASE,
				     self->job.ioas, BASE, SIZE));
	access = access_open(self->job.fd, other, MOCK_ACCESS_PINS);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, access_pin(self->job.fd, access,
				MOCK_PAGES_UNVERIFIED, BASE, PAGE, NULL, &pages));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(NR, charged(child.pid));

	/* Pinned for one only, then for none. */
	EXPECT_EQ(0, do_job(&self->job, UNMAP));
	EXPECT_EQ(NR, charged(child.pid));
	EXPECT_EQ(0, iommufd_destroy(self->job.fd, dev.id));
	EXPECT_EQ(1, charged(child.pid));
	EXPECT_EQ(0, do_job(&self->job, CHANGE));
	EXPECT_EQ(1, charged(self->self));
	EXPECT_EQ(0, charged(child.pid));
	EXPECT_EQ(0, access_unpin(self->job.fd, access, pages));
	EXPECT_EQ(0, charged(self->self));
	close(access);
	child_end(&child);
}

TEST_F(process, what_is_pinned_later_is_charged_to_the_next_process)
{
	struct child child;
	struct stdev dev;
	uint32_t other;

	ASSERT_EQ(0, child_start(&child, &self->job, 0, 0));
	ASSERT_EQ(0, ioas_alloc(self->job.fd, &other));
	ASSERT_EQ(0, map_file_fixed(self->job.fd, other, RW, self->job.file, 0,
				    SIZE, BASE));
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(0, charged(child.pid));
	ASSERT_EQ(0, stdev_add(self->job.fd, other, &dev));
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(NR, charged(child.pid));
	child_end(&child);
}

TEST_F(process, over_the_limit_nothing_changes)
{
	struct child child;

	ASSERT_EQ(0, do_job(&self->job, MAP));
	ASSERT_EQ(0, child_start(&child, &self->job, NOBODY, NR - 1));
	EXPECT_EQ(-ENOMEM, child_do(&child, CHANGE));
	EXPECT_EQ(NR, charged(self->self));
	EXPECT_EQ(0, charged(child.pid));
	child_end(&child);

	/* Nothing is left charged to the user by that. */
	ASSERT_EQ(0, child_start(&child, &self->job, NOBODY, NR));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(NR, charged(child.pid));
	EXPECT_EQ(-ENOMEM, child_do(&child, MAP_MORE));

	/* Given away, there is room again. */
	EXPECT_EQ(0, do_job(&self->job, CHANGE));
	EXPECT_EQ(NR, charged(self->self));
	EXPECT_EQ(0, child_do(&child, MAP_MORE));
	EXPECT_EQ(-ENOMEM, child_do(&child, CHANGE));
	EXPECT_EQ(NR, charged(self->self));
	EXPECT_EQ(1, charged(child.pid));
	EXPECT_EQ(0, child_do(&child, UNMAP));
	EXPECT_EQ(0, child_do(&child, MAP));
	EXPECT_EQ(NR, charged(child.pid));
	child_end(&child);
}

TEST_F(process, a_user_is_charged_once_whoever_has_the_pages)
{
	struct child from, to, other;

	ASSERT_EQ(0, child_start(&from, &self->job, NOBODY, NR));
	ASSERT_EQ(0, child_start(&to, &self->job, NOBODY, NR));
	ASSERT_EQ(0, child_start(&other, &self->job, SOMEBODY, NR));
	ASSERT_EQ(0, child_do(&from, MAP));
	EXPECT_EQ(0, child_do(&to, CHANGE));
	EXPECT_EQ(0, charged(from.pid));
	EXPECT_EQ(NR, charged(to.pid));
	/* The limit is the user's, or it is the process's. */
	EXPECT_EQ(variant->limited ? 0 : -ENOMEM, child_do(&from, MAP_MORE));
	EXPECT_EQ(variant->limited ? -ENOMEM : 0, child_do(&to, CHANGE));
	if (variant->limited) {
		ASSERT_EQ(0, ioas_unmap(self->job.fd, self->job.ioas,
					BASE + MiB, PAGE, NULL));
	}
	EXPECT_EQ(0, child_do(&other, CHANGE));
	EXPECT_EQ(0, charged(to.pid));
	EXPECT_EQ(NR, charged(other.pid));
	EXPECT_EQ(-ENOMEM, child_do(&other, MAP_MORE));
	EXPECT_EQ(0, child_do(&from, MAP_MORE));
	child_end(&from);
	child_end(&to);
	child_end(&other);
}

TEST_F(process, pages_of_a_dead_process_are_taken_over)
{
	struct child dead, child;

	ASSERT_EQ(0, child_start(&dead, &self->job, NOBODY, NR));
	ASSERT_EQ(0, child_do(&dead, MAP));
	EXPECT_EQ(NR, charged(dead.pid));
	child_end(&dead);

	ASSERT_EQ(0, child_start(&child, &self->job, NOBODY, NR));
	/* Its user still pays for it. */
	EXPECT_EQ(variant->limited ? 0 : -ENOMEM, child_do(&child, MAP_MORE));
	if (variant->limited) {
		ASSERT_EQ(0, ioas_unmap(self->job.fd, self->job.ioas,
					BASE + MiB, PAGE, NULL));
	}
	EXPECT_EQ(0, do_job(&self->job, CHANGE));
	EXPECT_EQ(NR, charged(self->self));
	EXPECT_EQ(0, child_do(&child, MAP_MORE));
	EXPECT_EQ(1, charged(child.pid));
	child_end(&child);
	EXPECT_EQ(0, do_job(&self->job, CHANGE));
	EXPECT_EQ(NR + 1, charged(self->self));
	EXPECT_EQ(0, do_job(&self->job, UNMAP));
	EXPECT_EQ(0, charged(self->self));
}

/* The memory that an exec leaves behind keeps its pages until the unmap. */
TEST_F(process, an_exec_leaves_no_charge_behind_and_none_below_zero)
{
	struct child child;
	int i;

	ASSERT_EQ(0, child_start(&child, &self->job, NOBODY, NR));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, child_do(&child, MAP_MEMORY));
		EXPECT_EQ(NR, charged(child.pid));
		ASSERT_EQ(0, child_do(&child, EXEC));
		EXPECT_EQ(0, charged(child.pid));
		/* The user is charged still, the process is another. */
		EXPECT_EQ(variant->limited ? 0 : -ENOMEM,
			  child_do(&child, MAP_MORE));
		if (variant->limited) {
			ASSERT_EQ(0, ioas_unmap(self->job.fd, self->job.ioas,
						BASE + MiB, PAGE, NULL));
		}
		EXPECT_EQ(0, child_do(&child, UNMAP));
		EXPECT_EQ(0, charged(child.pid));
	}
	/* Exactly what the limit allows fits: nothing was lost or won. */
	EXPECT_EQ(0, child_do(&child, MAP));
	EXPECT_EQ(-ENOMEM, child_do(&child, MAP_MORE));
	EXPECT_EQ(0, child_do(&child, UNMAP));
	child_end(&child);
}

TEST_F(process, after_an_exec_the_new_image_takes_its_files_over)
{
	struct child child;

	ASSERT_EQ(0, child_start(&child, &self->job, NOBODY, NR));
	ASSERT_EQ(0, child_do(&child, MAP));
	ASSERT_EQ(0, child_do(&child, EXEC));
	EXPECT_EQ(0, charged(child.pid));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(NR, charged(child.pid));
	EXPECT_EQ(-ENOMEM, child_do(&child, MAP_MORE));
	EXPECT_EQ(0, child_do(&child, UNMAP));
	EXPECT_EQ(0, charged(child.pid));
	EXPECT_EQ(0, child_do(&child, MAP));
	EXPECT_EQ(NR, charged(child.pid));
	child_end(&child);
}

/* ---- at the same time ---- */

TEST_F(process, a_pin_of_memory_under_way_is_in_the_way)
{
	struct mapper mapper = { .iommufd = self->job.fd };
	struct slow_memory memory;
	struct child child;
	struct stdev dev;

	ASSERT_EQ(0, child_start(&child, &self->job, 0, 0));
	ASSERT_EQ(0, do_job(&self->job, MAP));
	ASSERT_EQ(0, slow_memory_make(&memory, SIZE));
	mapper.memory = &memory;
	ASSERT_EQ(0, ioas_alloc(self->job.fd, &mapper.ioas));
	ASSERT_EQ(0, stdev_add_to_unit(self->job.fd, mapper.ioas,
				       MOCK_UNIT_LARGE, &dev));
	ASSERT_EQ(0, pthread_create(&mapper.thread, NULL, map_slowly, &mapper));
	ASSERT_EQ(0, slow_memory_wait(&memory));
	EXPECT_EQ(-EINVAL, child_do(&child, CHANGE));
	EXPECT_EQ(-EINVAL, do_job(&self->job, CHANGE));
	EXPECT_EQ(2 * NR, charged(self->self));
	EXPECT_EQ(0, charged(child.pid));
	ASSERT_EQ(0, slow_memory_let_in(&memory));
	pthread_join(mapper.thread, NULL);
	EXPECT_EQ(0, mapper.rc);
	EXPECT_EQ(0, ioas_unmap_all(self->job.fd, mapper.ioas, NULL));
	EXPECT_EQ(0, child_do(&child, CHANGE));
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(NR, charged(child.pid));
	child_end(&child);
}

struct busy {
	pthread_t thread;
	const struct job *job;
	uint32_t other;
	uint64_t base;
	volatile bool *stop;
	long rounds;
	int rc;
};

static int busy_round(struct busy *b)
{
	const struct job *job = b->job;
	int rc;

	rc = map_file_fixed(job->fd, job->ioas, RW, job->file, b->base, 64 * PAGE,
			    b->base);
	if (!rc)
		rc = ioas_copy_fixed(job->fd, RD, b->other, b->base, job->ioas,
				     b->base + 16 * PAGE, 32 * PAGE);
	if (!rc)
		rc = ioas_unmap(job->fd, job->ioas, b->base, 64 * PAGE, NULL);
	if (!rc)
		rc = ioas_unmap(job->fd, b->other, b->base, 32 * PAGE, NULL);
	return rc;
}

static void *be_busy(void *arg)
{
	struct busy *b = arg;

	while (!*b->stop && !b->rc) {
		b->rc = busy_round(b);
		b->rounds++;
	}
	return NULL;
}

static bool all_ran(const struct busy *busy, int nr)
{
	while (nr && *(volatile long *)&busy[nr - 1].rounds)
		nr--;
	return !nr;
}

TEST_F_TIMEOUT(process, changes_while_files_are_mapped_lose_no_page, 120)
{
	volatile bool stop = false;
	struct busy busy[3];
	struct child child[2];
	struct stdev dev;
	uint32_t other;
	int i, changes;

	ASSERT_EQ(0, ioas_alloc(self->job.fd, &other));
	ASSERT_EQ(0, stdev_add(self->job.fd, other, &dev));
	ASSERT_EQ(0, do_job(&self->job, MAP_MORE));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, child_start(&child[i], &self->job, 0, 0));
	}
	for (i = 0; i < 3; i++) {
		busy[i] = (struct busy){
			.job = &self->job, .other = other, .stop = &stop,
			.base = BASE + (i + 2) * MiB,
		};
		ASSERT_EQ(0, pthread_create(&busy[i].thread, NULL, be_busy,
					    &busy[i]));
	}
	/* At least until all have been at it: they are not always let run soon. */
	for (changes = 0; changes < 400 || (changes < 40000 && !all_ran(busy, 3)); changes++) {
		ASSERT_EQ(0, child_do(&child[changes % 2], CHANGE));
	}
	stop = true;
	for (i = 0; i < 3; i++) {
		pthread_join(busy[i].thread, NULL);
		EXPECT_EQ(0, busy[i].rc);
		EXPECT_LT(0, busy[i].rounds);
	}
	/* One page is left, with the last that asked; unless in between. */
	EXPECT_EQ(0, child_do(&child[0], CHANGE));
	EXPECT_EQ(1, charged(child[0].pid));
	EXPECT_EQ(0, charged(child[1].pid));
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(0, do_job(&self->job, UNMAP));
	EXPECT_EQ(0, charged(child[0].pid));
	child_end(&child[0]);
	child_end(&child[1]);
}

static void *map_much(void *arg)
{
	struct busy *b = arg;

	b->rc = map_file_fixed(b->job->fd, b->job->ioas, RW, b->job->file, 0,
			       MUCH, BASE);
	b->rounds = 1;
	return NULL;
}

TEST_F_TIMEOUT(process, a_change_in_the_middle_of_a_pin_takes_all_of_it, 120)
{
	struct busy busy = { .job = &self->job };
	struct child child;
	int during = 0;

	ASSERT_EQ(0, child_start(&child, &self->job, 0, 0));
	ASSERT_EQ(0, pthread_create(&busy.thread, NULL, map_much, &busy));
	while (!charged(self->self) && !*(volatile long *)&busy.rounds)
		;
	while (!*(volatile long *)&busy.rounds) {
		ASSERT_EQ(0, child_do(&child, CHANGE));
		if (*(volatile long *)&busy.rounds)
			break;
		EXPECT_EQ(MUCH / PAGE, charged(child.pid));
		EXPECT_EQ(0, charged(self->self));
		during++;
	}
	pthread_join(busy.thread, NULL);
	EXPECT_EQ(0, busy.rc);
	EXPECT_LT(0, during);
	EXPECT_EQ(MUCH / PAGE, charged(child.pid));
	EXPECT_EQ(0, charged(self->self));
	EXPECT_EQ(0, do_job(&self->job, UNMAP));
	EXPECT_EQ(0, charged(child.pid));
	child_end(&child);
}

/* Whoever maps twice with the same credentials is asked once for CAP_IPC_LOCK. */
TEST(new_credentials_are_looked_at)
{
	struct rlimit none = { 0, NR * PAGE };
	int fd = iommufd_open();
	struct stdev stdev;
	uint32_t ioas;
	void *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, stdev_add(fd, ioas, &stdev));
	p = pages_alloc(SIZE);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &none));
	ASSERT_EQ(0, ioas_map_fixed(fd, ioas, RW, p, PAGE, BASE));
	ASSERT_EQ(0, drop_cap(CAP_NET_RAW));
	ASSERT_EQ(0, ioas_map_fixed(fd, ioas, RW, p, PAGE, BASE + MiB));
	ASSERT_EQ(0, drop_cap(CAP_IPC_LOCK));
	ASSERT_EQ(-ENOMEM, ioas_map_fixed(fd, ioas, RW, p, PAGE, BASE + 2 * MiB));
	/* What was pinned before stays, and goes, as it came. */
	ASSERT_EQ(0, ioas_unmap(fd, ioas, BASE, PAGE, NULL));
	none.rlim_cur = none.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &none));
	ASSERT_EQ(0, ioas_map_fixed(fd, ioas, RW, p, PAGE, BASE + 2 * MiB));
	EXPECT_EQ(0, ioas_unmap_all(fd, ioas, NULL));
	close(fd);
}

TEST_HARNESS_MAIN
