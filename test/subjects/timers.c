/* Interval timers and POSIX timers: clocks, intervals, remaining times, ids with a gap, values and targets. */
#include "subject.h"
#include <sys/time.h>

static int near(double now, double then, double began) { double expected = then - (seconds() - began); return now <= expected + 0.05 && now >= expected - 0.5; }
static double interval_left(int which) { struct itimerval v; getitimer(which, &v); return v.it_value.tv_sec + v.it_value.tv_usec / 1e6; }
static double timer_left(timer_t id) { struct itimerspec v; timer_gettime(id, &v); return v.it_value.tv_sec + v.it_value.tv_nsec / 1e9; }
static volatile int fired;
static void on_fire(int signal, siginfo_t *info, void *context) { (void)signal; (void)context; fired = info->si_value.sival_int; }

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = on_fire, .sa_flags = SA_SIGINFO};
	struct itimerval real = {{500, 0}, {1000, 500000}}, cpu = {{0, 0}, {900, 0}};
	struct itimerspec spec = {{7, 0}, {800, 0}}, soon = {{0, 0}, {1, 500000000}}, off = {{0, 0}, {0, 0}};
	struct sigevent thread = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN}, none = {.sigev_notify = SIGEV_NONE}, usual = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	timer_t gap, a, b, c, d;

	subject(argc, argv);
	sigaction(SIGRTMIN, &action, NULL);
	signal(SIGRTMIN + 1, SIG_IGN);
	setitimer(ITIMER_REAL, &real, NULL);
	setitimer(ITIMER_VIRTUAL, &cpu, NULL);
	setitimer(ITIMER_PROF, &cpu, NULL);
	thread._sigev_un._tid = gettid();
	thread.sigev_value.sival_int = 4711;
	timer_create(CLOCK_MONOTONIC, &usual, &gap);
	timer_create(CLOCK_MONOTONIC, &thread, &a);
	timer_create(CLOCK_REALTIME, &none, &b);
	timer_create(CLOCK_MONOTONIC, &usual, &c);
	timer_create(CLOCK_BOOTTIME, &usual, &d);
	timer_delete(gap);
	timer_settime(a, 0, &soon, NULL);
	timer_settime(b, 0, &spec, NULL);
	timer_settime(c, 0, &spec, NULL);
	timer_settime(d, 0, &off, NULL);
	double began = seconds();
	wait_here();
	CHECK(near(interval_left(ITIMER_REAL), 1000.5, began), "real %.3f", interval_left(ITIMER_REAL));
	CHECK(interval_left(ITIMER_VIRTUAL) > 890 && interval_left(ITIMER_PROF) > 890);
	CHECK(near(timer_left(b), 800, began) && near(timer_left(c), 800, began), "left %.3f %.3f", timer_left(b), timer_left(c));
	CHECK(timer_left(d) == 0);
	struct itimerspec now;
	timer_gettime(b, &now);
	CHECK(now.it_interval.tv_sec == 7);
	while (!fired && seconds() < began + 10)
		usleep(10000);
	double took = seconds() - began;
	CHECK(fired == 4711 && took >= 1.49);
	timer_t fresh;
	CHECK(timer_create(CLOCK_MONOTONIC, &usual, &fresh) == 0 && fresh != a && fresh != b);
	return finish();
}
