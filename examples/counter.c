/* Counts, and says so, for ever: the simplest thing to freeze. */
#include <stdio.h>
#include <time.h>

int main(void)
{
	for (unsigned long count = 0;; count++) {
		struct timespec pause = {0, 100000000};

		printf("%lu\n", count);
		fflush(stdout);
		nanosleep(&pause, NULL);
	}
}
