#include "vmm/guest/services.h"
#include "vmm/guest/stack.h"
void
services_start(struct stack *stack)
{
	(void)stack;
}
