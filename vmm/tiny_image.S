/*
 * The tiny guest, as it was linked: guest/tiny.elf of the build directory.
 */
	.section .rodata
	.global tiny_image, tiny_image_end
	.type tiny_image, @object
	.balign 16
tiny_image:
	.incbin "guest/tiny.elf"
tiny_image_end:
	.size tiny_image, . - tiny_image
	.section .note.GNU-stack, "", @progbits
