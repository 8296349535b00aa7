// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the library on a real kernel and an edu device. TAP.
 *
 *   vm_lib_test BDF	an edu device that is bound to vfio-pci
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "vfio-cdev.h"

#define PAGE	4096
#define IOVA	0x100000

static int nr, failed;
static struct vcdev_error err;

static void check(const char *name, bool good)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++nr, name);
	if (!good) {
		printf("# last error: %d %s\n", err.code, err.text);
		failed = 1;
	}
}

static void is(const char *name, int want, int got)
{
	if (want != got)
		printf("# want %d, got %d\n", want, got);
	check(name, want == got);
}

static void test_memory(struct vcdev_ctx *ctx)
{
	char *mem = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	struct vcdev_iova_range *ranges = NULL;
	const struct vcdev_iova_range wanted = { 0x1000000, 0x1ffffff };
	uint64_t iova = 1, alignment = 0, unmapped = 0;
	uint32_t ioas, other;

	is("make an IOAS", 0, vcdev_ioas_alloc(ctx, &ioas, &err));
	is("make another", 0, vcdev_ioas_alloc(ctx, &other, &err));
	check("they differ", ioas != other);
	is("an empty IOAS has one range", 1,
	   vcdev_iova_ranges(ctx, ioas, &ranges, &alignment, &err));
	check("it is all of the 64 bits", ranges && !ranges[0].start &&
	      ranges[0].last == UINT64_MAX && alignment);
	free(ranges);

	is("map", 0, vcdev_map(ctx, ioas, mem, 2 * PAGE, IOVA, VCDEV_MAP_RW, &err));
	is("map over it is EEXIST", -EEXIST,
	   vcdev_map(ctx, ioas, mem, PAGE, IOVA + PAGE, VCDEV_MAP_RW, &err));
	check("with a hint", strstr(err.hint, "unmap it first"));
	is("map of nothing is EINVAL", -EINVAL,
	   vcdev_map(ctx, ioas, mem, 0, 2 * IOVA, VCDEV_MAP_RW, &err));
	is("map without access is EINVAL", -EINVAL,
	   vcdev_map(ctx, ioas, mem, PAGE, 2 * IOVA, 0, &err));
	is("map in an unknown IOAS is ENOENT", -ENOENT,
	   vcdev_map(ctx, 0x7fffffff, mem, PAGE, IOVA, VCDEV_MAP_RW, &err));
	is("map at an IOVA of the kernel's choice", 0,
	   vcdev_map_any(ctx, ioas, mem + 2 * PAGE, 2 * PAGE, VCDEV_MAP_RW, &iova, &err));
	check("which is whole pages and free", !(iova % PAGE) && iova != IOVA);

	is("copy", 0, vcdev_copy(ctx, other, 5 * IOVA, ioas, IOVA, 2 * PAGE, VCDEV_MAP_READ, &err));
	is("copy of what is not mapped is ENOENT", -ENOENT,
	   vcdev_copy(ctx, other, 6 * IOVA, ioas, 9 * IOVA, PAGE, VCDEV_MAP_READ, &err));
	is("unmap of a part is ENOENT", -ENOENT,
	   vcdev_unmap(ctx, ioas, IOVA, PAGE, &unmapped, &err));
	is("unmap", 0, vcdev_unmap(ctx, ioas, IOVA, 2 * PAGE, &unmapped, &err));
	is("says how much", 2 * PAGE, unmapped);
	is("unmap again is ENOENT", -ENOENT,
	   vcdev_unmap(ctx, ioas, IOVA, 2 * PAGE, &unmapped, &err));

	is("allow IOVAs", 0, vcdev_allow_iovas(ctx, other, &wanted, 1, &err));
	is("then memory of the kernel's choice goes there", 0,
	   vcdev_map_any(ctx, other, mem, PAGE, VCDEV_MAP_RW, &iova, &err));
	check("inside of the range", iova >= wanted.start && iova <= wanted.last);

	is("destroy", 0, vcdev_destroy(ctx, ioas, &err));
	is("destroy again is ENOENT", -ENOENT, vcdev_destroy(ctx, ioas, &err));
	is("destroy the other with its mappings", 0, vcdev_destroy(ctx, other, &err));
	munmap(mem, 4 * PAGE);
}

static void test_regions(struct vcdev_dev *dev)
{
	struct vcdev_region region;
	uint32_t id = 0, ids = 0;
	void *bar = NULL;
	char byte;

	is("describe BAR 0", 0, vcdev_region_get(dev, VFIO_PCI_BAR0_REGION_INDEX, &region, &err));
	check("it has 1 MiB and can be mapped", region.size == 1 << 20 &&
	      region.flags & VFIO_REGION_INFO_FLAG_MMAP && !region.is_sparse);
	vcdev_region_free(&region);
	is("describe BAR 1", 0, vcdev_region_get(dev, VFIO_PCI_BAR1_REGION_INDEX, &region, &err));
	check("it is not there", !region.size);
	is("describe no region is EINVAL", -EINVAL, vcdev_region_get(dev, 1000, &region, &err));
	is("switch memory on", 0, vcdev_dev_enable(dev, false, &err));
	is("map BAR 0", 0, vcdev_region_map(dev, 0, 0, 0, PROT_READ, &bar, &err));
	is("read its register", 0, vcdev_region_read(dev, 0, 0, &id, 4, &err));
	check("both say the same", bar && *(volatile uint32_t *)bar == id && (id & 0xff) == 0xed);
	vcdev_region_unmap(bar, 1 << 20);
	is("read beyond the end is EINVAL", -EINVAL,
	   vcdev_region_read(dev, 0, 1 << 20, &byte, 1, &err));
	is("read across the end is EINVAL", -EINVAL,
	   vcdev_region_read(dev, 0, (1 << 20) - 2, &ids, 4, &err));
	is("read that wraps is EINVAL", -EINVAL,
	   vcdev_region_read(dev, 0, UINT64_MAX, &ids, 4, &err));
	is("map beyond the end is EINVAL", -EINVAL,
	   vcdev_region_map(dev, 0, 1 << 20, PAGE, PROT_READ, &bar, &err));
	is("read configuration space", 0, vcdev_config_read(dev, 0, &ids, 4, &err));
	is("vendor and device", 0x11e81234, ids);
}

static void test_irqs(struct vcdev_dev *dev)
{
	int fds[2] = { eventfd(0, EFD_NONBLOCK), -1 };
	struct vcdev_irq irq;
	uint64_t count = 0;

	is("describe MSI", 0, vcdev_irq_get(dev, VFIO_PCI_MSI_IRQ_INDEX, &irq, &err));
	is("one vector", 1, irq.count);
	is("describe MSI-X", 0, vcdev_irq_get(dev, VFIO_PCI_MSIX_IRQ_INDEX, &irq, &err));
	is("none", 0, irq.count);
	is("enable more than there are is EINVAL", -EINVAL,
	   vcdev_irq_enable(dev, VFIO_PCI_MSI_IRQ_INDEX, fds, 2, &err));
	is("enable", 0, vcdev_irq_enable(dev, VFIO_PCI_MSI_IRQ_INDEX, fds, 1, &err));
	is("trigger by software", 0, vcdev_irq_trigger(dev, VFIO_PCI_MSI_IRQ_INDEX, 0, &err));
	check("arrives once", read(fds[0], &count, 8) == 8 && count == 1);
	is("another kind meanwhile is EINVAL", -EINVAL,
	   vcdev_irq_enable(dev, VFIO_PCI_INTX_IRQ_INDEX, fds, 1, &err));
	is("disable", 0, vcdev_irq_disable(dev, VFIO_PCI_MSI_IRQ_INDEX, &err));
	is("trigger when disabled is EINVAL", -EINVAL,
	   vcdev_irq_trigger(dev, VFIO_PCI_MSI_IRQ_INDEX, 0, &err));
	close(fds[0]);
}

static void test_device(struct vcdev_ctx *ctx, const char *bdf)
{
	struct vcdev_iova_range *ranges = NULL;
	struct vcdev_dev_info info = { 0 };
	struct vcdev_dev *dev, *again;
	uint32_t ioas, hwpt = 0;
	char byte = 0;
	void *page;

	is("open", 0, vcdev_dev_open(NULL, bdf, &dev, &err));
	is("read before bind is EINVAL", -EINVAL, vcdev_config_read(dev, 0, &byte, 1, &err));
	is("attach before bind is EINVAL", -EINVAL, vcdev_dev_attach(dev, 1, NULL, &err));
	is("bind", 0, vcdev_dev_bind(dev, ctx, &err));
	is("information", 0, vcdev_dev_info(dev, &info, &err));
	check("of a PCI device", info.flags & VFIO_DEVICE_FLAGS_PCI &&
	      info.nr_regions >= VFIO_PCI_NUM_REGIONS && info.nr_irqs >= VFIO_PCI_NUM_IRQS);
	is("open again is possible", 0, vcdev_dev_open(NULL, bdf, &again, &err));
	check("bind again is refused", vcdev_dev_bind(again, ctx, &err) < 0);
	vcdev_dev_close(again);

	test_regions(dev);
	test_irqs(dev);

	is("make an IOAS", 0, vcdev_ioas_alloc(ctx, &ioas, &err));
	is("attach to nothing is ENOENT", -ENOENT,
	   vcdev_dev_attach(dev, 0x7fffffff, NULL, &err));
	is("attach", 0, vcdev_dev_attach(dev, ioas, &hwpt, &err));
	check("names a page table", hwpt && hwpt != ioas);
	is("the MSI window is taken out", 2, vcdev_iova_ranges(ctx, ioas, &ranges, NULL, &err));
	check("where x86 has it", ranges && ranges[0].last == 0xfedfffff &&
	      ranges[1].start == 0xfef00000);
	free(ranges);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	is("map in the MSI window is EINVAL", -EINVAL,
	   vcdev_map(ctx, ioas, page, PAGE, 0xfee00000, VCDEV_MAP_RW, &err));
	munmap(page, PAGE);
	is("destroy of an IOAS in use is EBUSY", -EBUSY, vcdev_destroy(ctx, ioas, &err));
	check("with a hint", strstr(err.hint, "detach"));
	is("detach", 0, vcdev_dev_detach(dev, &err));
	is("destroy", 0, vcdev_destroy(ctx, ioas, &err));
	vcdev_dev_close(dev);
}

int main(int argc, char **argv)
{
	struct vcdev_ctx *ctx;

	if (argc != 2)
		return 2;
	puts("TAP version 13");
	is("open a context", 0, vcdev_ctx_open(NULL, &ctx, &err));
	test_memory(ctx);
	test_device(ctx, argv[1]);
	vcdev_ctx_close(ctx);
	printf("1..%d\n", nr);
	return failed;
}
