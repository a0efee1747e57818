/* eventfd, epoll (nested too), timerfd, signalfd, memfd with seals. */
#include "subject.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

int main(int argc, char **argv)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 0x1122334455667788}, nested = {.events = EPOLLIN | EPOLLET, .data.u64 = 5}, got;
	struct itimerspec spec = {{60, 0}, {500, 250000000}}, now, past = {{0, 100000000}, {0, 1000000}};
	sigset_t set;
	uint64_t value;

	subject(argc, argv);
	int counter = eventfd(7, EFD_CLOEXEC | EFD_NONBLOCK), semaphore = eventfd(3, EFD_SEMAPHORE), inner = epoll_create1(EPOLL_CLOEXEC), outer = epoll_create1(0);
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), ticking = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK), mem = memfd_create("sealed", MFD_ALLOW_SEALING);
	epoll_ctl(inner, EPOLL_CTL_ADD, counter, &event);
	epoll_ctl(outer, EPOLL_CTL_ADD, inner, &nested);
	timerfd_settime(timer, 0, &spec, NULL);
	timerfd_settime(ticking, 0, &past, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int signals = signalfd(-1, &set, SFD_NONBLOCK);
	kill(getpid(), SIGUSR1);
	write(mem, "contents", 8);
	fcntl(mem, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK);
	usleep(250000);
	double began = seconds();
	wait_here();
	CHECK(epoll_wait(outer, &got, 1, 0) == 1 && got.data.u64 == 5);
	CHECK(epoll_wait(inner, &got, 1, 0) == 1 && got.data.u64 == 0x1122334455667788);
	CHECK(read(counter, &value, 8) == 8 && value == 7 && read(counter, &value, 8) < 0 && errno == EAGAIN);
	CHECK(read(semaphore, &value, 8) == 8 && value == 1 && read(semaphore, &value, 8) == 8 && value == 1);
	timerfd_gettime(timer, &now);
	double left = now.it_value.tv_sec + now.it_value.tv_nsec / 1e9, expected = 500.0 - (seconds() - began);
	CHECK(left > expected - 0.6 && left < expected + 0.3 && now.it_interval.tv_sec == 60, "left %.3f expected %.3f", left, expected);
	CHECK(read(ticking, &value, 8) == 8 && value >= 2, "ticks %lu", (unsigned long)value);
	struct signalfd_siginfo info;
	CHECK(read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1 && (int)info.ssi_pid == getpid());
	char text[16] = "";
	CHECK(pread(mem, text, 8, 0) == 8 && memcmp(text, "contents", 8) == 0 && lseek(mem, 0, SEEK_CUR) == 8);
	CHECK(fcntl(mem, F_GET_SEALS) == (F_SEAL_GROW | F_SEAL_SHRINK) && ftruncate(mem, 100) < 0);
	CHECK((fcntl(counter, F_GETFL) & O_NONBLOCK) && !(fcntl(semaphore, F_GETFL) & O_NONBLOCK) && fcntl(inner, F_GETFD) == FD_CLOEXEC);
	return finish();
}
