// SPDX-License-Identifier: GPL-2.0
/* A first driver: QEMU's edu device copies a message into itself and back. */
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/vfio.h>
#include <vfio-cdev.h>

#define IOVA	0x100000	/* where the device is to see our memory */
#define BUFFER	0x40000		/* what the device calls its own */

static int fail(const struct vcdev_error *err)
{
	fprintf(stderr, "first: %s\n  next: %s\n", err->text, err->hint);
	return 1;
}

/* Tell the device to copy, and sleep until its interrupt arrives. */
static void copy(char *regs, int irq, uint64_t from, uint64_t to, uint64_t command)
{
	uint64_t count;

	*(volatile uint64_t *)(regs + 0x80) = from;
	*(volatile uint64_t *)(regs + 0x88) = to;
	*(volatile uint64_t *)(regs + 0x90) = 64;		/* bytes */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*(volatile uint64_t *)(regs + 0x98) = command | 5;	/* go, and interrupt */
	if (read(irq, &count, sizeof(count)) != sizeof(count))
		perror("first: interrupt");
	*(volatile uint32_t *)(regs + 0x64) = 0x100;		/* acknowledged */
}

int main(int argc, char **argv)
{
	int irq = eventfd(0, EFD_CLOEXEC);
	struct vcdev_error err;
	struct vcdev_ctx *ctx;
	struct vcdev_dev *dev;
	uint32_t ioas;
	void *regs;
	char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (argc != 2 || memory == MAP_FAILED || irq < 0)
		return 2;
	if (vcdev_ctx_open(NULL, &ctx, &err) ||			/* /dev/iommu */
	    vcdev_dev_open(NULL, argv[1], &dev, &err) ||	/* the device's file */
	    vcdev_dev_bind(dev, ctx, &err) ||			/* it is ours */
	    vcdev_ioas_alloc(ctx, &ioas, &err) ||		/* an address space */
	    vcdev_dev_attach(dev, ioas, NULL, &err) ||		/* all that it can reach */
	    vcdev_map(ctx, ioas, memory, 4096, IOVA, VCDEV_MAP_RW, &err) ||
	    vcdev_dev_enable(dev, true, &err) ||		/* it may do DMA */
	    vcdev_region_map(dev, 0, 0, 0, PROT_READ | PROT_WRITE, &regs, &err) ||
	    vcdev_irq_enable(dev, VFIO_PCI_MSI_IRQ_INDEX, &irq, 1, &err))
		return fail(&err);
	strcpy(memory, "hello from userspace");
	copy(regs, irq, IOVA, BUFFER, 0);			/* to the device */
	memset(memory, 0, 4096);
	copy(regs, irq, BUFFER, IOVA, 2);			/* and back */
	printf("first: the device says: %s\n", memory);
	vcdev_dev_close(dev);					/* stopped, given back */
	vcdev_ctx_close(ctx);
	return 0;
}
