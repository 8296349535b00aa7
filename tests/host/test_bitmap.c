// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of drivers/vfio/iova_bitmap.c: the bitmap that a device's log of writes
 * goes into. No device that can be emulated keeps such a log.
 *
 * Pages are of 64 bytes here, so a window (as many pages as a page has pointers
 * to) is 8 pages: 4096 bits. The user's memory is an array with a margin around.
 * The device is a list of dirty ranges; like a real one it reports each once,
 * whole, to the first window that asks for any of it.
 */
#include <string.h>

/* The header of vfio.ko is of no use here: this keeps it out. */
#define DRIVERS_VFIO_VFIO_H
#include "../../drivers/vfio/iova_bitmap.c"
#include "host.h"

#define MARGIN		128u
#define MAX_BITS	10000u
#define NR_DIRTY	12

bool host_killed;

static struct {
	_Alignas(64) u8 memory[MARGIN + MAX_BITS / 8 + MARGIN];
	u8 want[MARGIN + MAX_BITS / 8 + MARGIN];
	unsigned int pins;
	unsigned int pin_calls;
	unsigned int fail_at;		/* this call of the pin fails, 1.. */
	unsigned int at_most;		/* pages a call pins */
	int answer;			/* of a call that fails */

	unsigned long base, last;
	unsigned int shift;
	unsigned long next;		/* where the next window begins */
	unsigned int windows;
	bool whole;			/* the last window was the last */
	struct {
		unsigned long first, last;
		bool told;
	} dirty[NR_DIRTY];
	unsigned int nr_dirty;
} t;

int pin_user_pages_fast(unsigned long addr, int nr, unsigned int flags,
			struct page **pages)
{
	int i;

	expect(flags & FOLL_WRITE);
	expect(!offset_in_page(addr));
	expect(nr > 0 && (unsigned long)nr <= WINDOW_PAGES);
	expect(addr >= (unsigned long)t.memory &&
	       addr + nr * PAGE_SIZE <= (unsigned long)t.memory +
					sizeof(t.memory));
	if (++t.pin_calls == t.fail_at)
		return t.answer;
	if (t.at_most)
		nr = min(nr, (int)t.at_most);
	for (i = 0; i < nr; i++)
		pages[i] = (struct page *)(addr + i * PAGE_SIZE);
	t.pins += nr;
	return nr;
}

void unpin_user_pages_dirty_lock(struct page **pages, unsigned long nr,
				 bool dirty)
{
	expect(dirty);
	expect(t.pins == nr);
	t.pins -= nr;
}

static int device_reports(struct iova_bitmap *bitmap, unsigned long iova,
			  size_t length, void *opaque)
{
	unsigned long last = iova + (length - 1);
	unsigned int i;

	expect(opaque == &t);
	/* Windows follow one another and stay inside. */
	expect(!t.whole);
	expect_eq(iova, t.next);
	expect(length && last >= iova && last <= t.last);
	t.windows++;
	t.whole = last == t.last;
	t.next = last + 1;
	for (i = 0; i < t.nr_dirty; i++) {
		if (t.dirty[i].told || t.dirty[i].first > last ||
		    t.dirty[i].last < iova)
			continue;
		t.dirty[i].told = true;
		iova_bitmap_set(bitmap, t.dirty[i].first,
				t.dirty[i].last - t.dirty[i].first + 1);
	}
	return 0;
}

static void begin(unsigned long base, unsigned long length, unsigned int shift)
{
	memset(&t, 0, sizeof(t));
	host_killed = false;
	t.base = base;
	t.last = base + (length - 1);
	t.shift = shift;
	t.next = base;
}

/* The wanted bits are told by each dirty range by itself. */
static void dirty(unsigned long first, unsigned long last, unsigned int at)
{
	unsigned long from, to, bit;

	t.dirty[t.nr_dirty].first = first;
	t.dirty[t.nr_dirty++].last = last;
	if (first > t.last || last < t.base)
		return;
	from = (max(first, t.base) - t.base) >> t.shift;
	to = (min(last, t.last) - t.base) >> t.shift;
	for (bit = from; bit <= to; bit++)
		t.want[at + bit / 8] |= 1u << bit % 8;
}

/* Fill the bitmap at byte @at of the memory. */
static int report(unsigned int at)
{
	struct iova_bitmap *bitmap;
	int rc;

	bitmap = iova_bitmap_alloc(t.base, t.last - t.base + 1, 1ul << t.shift,
				   (u64 *)(t.memory + at));
	expect((unsigned long)bitmap < -4095ul);
	rc = iova_bitmap_for_each(bitmap, &t, device_reports);
	iova_bitmap_free(bitmap);
	expect_eq(t.pins, 0);
	return rc;
}

static void expect_as_wanted(void)
{
	expect(t.whole);
	expect(!memcmp(t.memory, t.want, sizeof(t.memory)));
}

static void first_and_last_bit_of_any_page_size(void)
{
	unsigned int shift;

	for (shift = 12; shift < 64; shift++) {
		unsigned long page = 1ul << shift, length, base;

		/* The last pages of the space, with all of them, with one. */
		length = shift == 63 ? page : 2 * page;
		base = 0 - length;
		begin(base, length, shift);
		dirty(base, base, MARGIN);
		dirty(ULONG_MAX, ULONG_MAX, MARGIN);
		expect_eq(report(MARGIN), 0);
		expect_eq(t.memory[MARGIN], shift == 63 ? 1 : 3);
		expect_as_wanted();

		/* The first ones, and less than a page. */
		begin(0, page + 1, shift);
		dirty(page, page, MARGIN);
		expect_eq(report(MARGIN), 0);
		expect_eq(t.memory[MARGIN], 2);
		expect_as_wanted();

		begin(5, 1, shift);
		dirty(0, ULONG_MAX - 1, MARGIN);
		expect_eq(report(MARGIN), 0);
		expect_eq(t.memory[MARGIN], 1);
		expect_as_wanted();
	}
}

static void whole_space_less_a_byte_is_two_bits_of_half_of_it(void)
{
	begin(0, ULONG_MAX, 63);
	dirty(1ul << 63, 1ul << 63, MARGIN);
	expect_eq(report(MARGIN), 0);
	expect_eq(t.memory[MARGIN], 2);
	expect_as_wanted();
}

static void range_over_several_windows_is_reported_once(void)
{
	begin(0x1000, MAX_BITS * 4096ul, 12);
	dirty(0x1000 + 4090 * 4096ul, 0x1000 + 9000 * 4096ul, MARGIN);
	expect_eq(report(MARGIN), 0);
	expect_eq(t.windows, 3);
	expect_as_wanted();
}

static void memory_that_is_not_there_is_efault(void)
{
	unsigned int call;

	for (call = 1; call <= 3; call++) {
		begin(0, MAX_BITS * 4096ul, 12);
		t.fail_at = call;
		t.answer = call == 2 ? 0 : -EFAULT;	/* 0 is a failure, too */
		expect_eq(report(MARGIN), -EFAULT);
		expect_eq(t.windows, call - 1);
	}
}

static void killed_process_stops(void)
{
	begin(0, MAX_BITS * 4096ul, 12);
	host_killed = true;
	expect_eq(report(MARGIN), -EINTR);
	expect_eq(t.windows, 1);
}

static void nonsense_is_einval(void)
{
	expect((long)iova_bitmap_alloc(0, 0, 4096, NULL) == -EINVAL);
	expect((long)iova_bitmap_alloc(0, 4096, 0, NULL) == -EINVAL);
	expect((long)iova_bitmap_alloc(ULONG_MAX, 2, 4096, NULL) == -EINVAL);
}

static void no_memory_is_enomem(void)
{
	unsigned int nr;

	for (nr = 1; nr <= 2; nr++) {
		host_memory.fail_in = nr;
		expect((long)iova_bitmap_alloc(0, 1, 4096, NULL) == -ENOMEM);
		expect_eq(host_memory.live, 0);
	}
}

static unsigned long choose_long(struct choices *choices)
{
	unsigned long value = 0;
	unsigned int i;

	for (i = 0; i < 8; i++)
		value = value << 8 | choose(choices, 256);
	return value;
}

static void bitmap_model(struct choices *choices)
{
	unsigned int shift, at, bits, i;
	unsigned long room, length, base, first, span;

	host_reset();
	while (choices_left(choices)) {
		shift = choose(choices, 3) ? 12 + choose(choices, 4) :
					     12 + choose(choices, 52);
		bits = choose(choices, 2) ? 1 + choose(choices, 64) :
					    1 + choose(choices, MAX_BITS - 1);
		/* As many as there can be. */
		if (shift > 50)
			bits = min(bits, (1u << (64 - shift)) - 1);
		length = ((unsigned long)bits << shift) -
			 choose_long(choices) % (1ul << shift);
		room = 0 - length;		/* bases that do not wrap: 0..room */
		switch (choose(choices, 4)) {
		case 0:
			base = room;		/* ends with the last IOVA */
			break;
		case 1:
			base = 0;
			break;
		case 2:
			base = choose_long(choices) % (room | 1);
			break;
		default:
			base = choose_long(choices) % (room | 1) &
			       ~((1ul << shift) - 1);
		}
		begin(base, length, shift);
		at = MARGIN + choose(choices, 64);
		if (bits > MAX_BITS - 512)
			at = MARGIN;
		t.at_most = choose(choices, 4) ? 0 : 1 + choose(choices, 8);
		for (i = choose(choices, NR_DIRTY); i; i--) {
			first = base + choose_long(choices) % length;
			/* It may begin before, and go on behind. */
			if (!choose(choices, 4))
				first -= min(first, 1ul << shift);
			span = choose_long(choices) %
			       (choose(choices, 2) ? length : 1ul << shift);
			dirty(first, first + min(span, ULONG_MAX - first), at);
		}
		host_step(choices);
		expect_eq(report(at), 0);
		expect_as_wanted();
	}
}

static void random_logs(void)
{
	host_random_runs(bitmap_model, 4, 0.5);
}

#define T(name)	{ #name, name }

static const struct host_test tests[] = {
	T(first_and_last_bit_of_any_page_size),
	T(whole_space_less_a_byte_is_two_bits_of_half_of_it),
	T(range_over_several_windows_is_reported_once),
	T(memory_that_is_not_there_is_efault),
	T(killed_process_stops),
	T(nonsense_is_einval),
	T(no_memory_is_enomem),
	{ "random_logs_agree_with_a_list", random_logs },
};

int main(int argc, char **argv)
{
	return host_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
