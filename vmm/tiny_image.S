/*
 * The tiny guest, as it was linked: guest/tiny.elf of the build directory.
 */
	.section .rodata
	.global tiny_image, tiny_image_bytes
	.type tiny_image, @object
	.type tiny_image_bytes, @object
	.balign 16
tiny_image:
	.incbin "guest/tiny.elf"
1:	.size tiny_image, 1b - tiny_image
	.balign 8
tiny_image_bytes:
	.quad 1b - tiny_image
	.size tiny_image_bytes, 8
	.section .note.GNU-stack, "", @progbits
