/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The program that a virtual machine inside the virtual machine boots through
 * an assigned device: 512 bytes, loaded to 0:7c00 by the BIOS (from a disk's first
 * block) or by PXE (from a network). That it runs shows that the device's DMA
 * arrived; what it says shows which bytes did. On the serial port, a line each:
 *
 *	boot: <the marker at offset MARKER_OFFSET of this block>
 *
 * and, unless it was assembled for PXE,
 *
 *	read: <the text in block 1>
 *	wrote				after block 2 = "echo " + that text
 *	error <BIOS status in hex>	instead, when a transfer failed
 *
 * Then it ends QEMU through isa-debug-exit at port 0xf4: exit status 33.
 */

	.set	SERIAL, 0x3f8
	.set	EXIT, 0xf4
	.set	BUFFER, 0x8000
	.set	MARKER_OFFSET, 0x180

	.code16
	.global	_start
	.text
_start:
	ljmp	$0, $begin
begin:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7000, %sp
	movb	%dl, drive
	sti
	cld
	movw	$text_boot, %si
	call	print
	movw	$marker, %si
	call	print
	call	newline

	.ifndef	PXE
	movb	$0x42, %ah
	movl	$1, packet_lba
	call	transfer
	movw	$text_read, %si
	call	print
	movw	$(BUFFER + 5), %si
	call	print
	call	newline

	# block 1 begins with 5 bytes to be replaced
	movw	$text_echo, %si
	movw	$BUFFER, %di
	movw	$5, %cx
	rep movsb
	movb	$0x43, %ah
	movl	$2, packet_lba
	call	transfer
	movw	$text_wrote, %si
	call	print
	call	newline
	.endif

exit:
	movb	$16, %al
	outb	%al, $EXIT
1:	hlt
	jmp	1b

	.ifndef	PXE
# transfer: one block at packet_lba from or to BUFFER, as %ah says
transfer:
	movb	$0, %al
	movb	drive, %dl
	movw	$packet, %si
	int	$0x13
	jc	1f
	ret
1:	movw	$text_error, %si
	pushw	%ax
	call	print
	popw	%ax
	movb	%ah, %al
	shrb	$4, %al
	call	digit
	movb	%ah, %al
	andb	$15, %al
	call	digit
	call	newline
	jmp	exit

digit:
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	put
	addb	$('a' - '9' - 1), %al
	jmp	put
	.endif

# print: the text at %si, up to a zero
print:
	lodsb
	testb	%al, %al
	jz	1f
	call	put
	jmp	print
1:	ret

newline:
	movb	$'\n', %al
# put: the character in %al
put:
	pushw	%ax
	movw	$(SERIAL + 5), %dx
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	popw	%ax
	movw	$SERIAL, %dx
	outb	%al, %dx
	ret

text_boot:	.asciz	"boot: "
	.ifndef	PXE
text_read:	.asciz	"read: "
text_echo:	.ascii	"echo "
text_wrote:	.asciz	"wrote"
text_error:	.asciz	"error "
	.balign	4
packet:		.byte	16, 0
		.word	1
		.word	BUFFER, 0
packet_lba:	.long	0, 0
	.endif
drive:		.byte	0

	.org	MARKER_OFFSET
marker:		.fill	64, 1, 0

	.org	510
	.word	0xaa55
