// The least program: it says "hi", and ends, with two system calls. No loader, no C library.
    .text
    .globl _start
_start:
#if defined(__x86_64__)
    mov $1, %eax            // write(2)
    mov $1, %edi
    lea text(%rip), %rsi
    mov $3, %edx
    syscall
    mov $60, %eax           // exit(2)
    xor %edi, %edi
    syscall
#elif defined(__aarch64__)
    mov x0, #1
    adr x1, text
    mov x2, #3
    mov x8, #64             // write(2)
    svc #0
    mov x0, #0
    mov x8, #93             // exit(2)
    svc #0
#else
#error "bench/say_hi.S: say hi in the language of this processor"
#endif
text:
    .ascii "hi\n"
    .section .note.GNU-stack, "", %progbits
