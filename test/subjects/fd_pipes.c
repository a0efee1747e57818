/* Pipes and socket pairs with both ends inside, with what waits in them. */
#include "subject.h"
#include <sys/socket.h>

int main(int argc, char **argv)
{
	int plain[2], large[2], packets[2], stream[2], datagram[2], sequence[2];
	char *much = malloc(300000), *back = malloc(300000), text[100];

	subject(argc, argv);
	for (int i = 0; i < 300000; i++)
		much[i] = i * 13;
	pipe2(plain, O_CLOEXEC);
	pipe2(large, O_NONBLOCK);
	pipe2(packets, O_DIRECT);
	fcntl(large[0], F_SETPIPE_SZ, 1 << 20);
	write(plain[1], "in the pipe", 11);
	write(large[1], much, 300000);
	write(packets[1], "one", 3);
	write(packets[1], "three", 5);
	int writer = dup(plain[1]);
	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, stream);
	socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram);
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sequence);
	write(stream[0], "to one", 6);
	write(stream[1], "to zero!", 8);
	send(datagram[0], "first", 5, 0);
	send(datagram[0], "second!", 7, 0);
	send(sequence[1], "alpha", 5, 0);
	send(sequence[1], "be", 2, 0);
	wait_here();
	CHECK(read(plain[0], text, 100) == 11 && memcmp(text, "in the pipe", 11) == 0);
	CHECK(write(writer, "more", 4) == 4 && read(plain[0], text, 100) == 4);
	CHECK(fcntl(large[0], F_GETPIPE_SZ) == 1 << 20 && (fcntl(large[1], F_GETFL) & O_NONBLOCK));
	int total = 0;
	for (int got; (got = read(large[0], back + total, 300000 - total)) > 0;)
		total += got;
	CHECK(total == 300000 && memcmp(much, back, 300000) == 0, "total %d", total);
	CHECK(read(packets[0], text, 100) == 3 && read(packets[0], text, 100) == 5 && memcmp(text, "three", 5) == 0);
	CHECK(read(stream[1], text, 100) == 6 && memcmp(text, "to one", 6) == 0 && read(stream[0], text, 100) == 8 && read(stream[0], text, 1) < 0 && errno == EAGAIN);
	CHECK(recv(datagram[1], text, 100, 0) == 5 && recv(datagram[1], text, 100, 0) == 7 && memcmp(text, "second!", 7) == 0);
	CHECK(recv(sequence[0], text, 100, 0) == 5 && recv(sequence[0], text, 100, 0) == 2);
	CHECK(write(stream[0], "x", 1) == 1 && read(stream[1], text, 1) == 1);
	close(plain[1]);
	close(writer);
	CHECK(read(plain[0], text, 1) == 0, "the pipe has another writer");
	return finish();
}
