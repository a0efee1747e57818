/* 64 threads passing a token over condition variables; thread-local storage, names and the gs base. */
#include "subject.h"
#include <asm/prctl.h>

#define THREADS 64
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn[THREADS];
static int current, stop, wrong;
static unsigned long rounds;
static __thread long own;
static pthread_barrier_t born;

static void *work(void *argument)
{
	long index = (long)argument;
	char name[16];

	own = index * 1000;
	snprintf(name, sizeof name, "worker-%ld", index);
	prctl(PR_SET_NAME, name);
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0x10000 + index * 4096);
	pthread_barrier_wait(&born);
	pthread_mutex_lock(&lock);
	while (!stop) {
		if (current == index) {
			rounds++;
			current = (current + 1) % THREADS;
			pthread_cond_signal(&turn[current]);
		}
		pthread_cond_wait(&turn[index], &lock);
	}
	pthread_mutex_unlock(&lock);
	unsigned long gs = 0;
	char now[16] = "";

	syscall(SYS_arch_prctl, ARCH_GET_GS, &gs);
	prctl(PR_GET_NAME, now);
	if (own != index * 1000 || gs != 0x10000ul + index * 4096 || strcmp(name, now))
		__sync_fetch_and_add(&wrong, 1);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	subject(argc, argv);
	pthread_barrier_init(&born, NULL, THREADS + 1);
	for (long i = 0; i < THREADS; i++)
		pthread_cond_init(&turn[i], NULL);
	for (long i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, work, (void *)i);
	pthread_barrier_wait(&born);
	wait_here();
	unsigned long then = rounds;

	for (int i = 0; i < 500 && rounds < then + 1000; i++)
		usleep(10000);
	CHECK(rounds >= then + 1000, "rounds %lu then, %lu now", then, rounds);
	pthread_mutex_lock(&lock);
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_cond_broadcast(&turn[i]);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK(wrong == 0, "%d threads with wrong state", wrong);
	return finish();
}
