/* The load for the proxy benchmark: clients and model server in one process, so that one core drives both.
 *
 *   traffic MODE PROXY_PORT UPSTREAM_PORT SECONDS CONNECTIONS PROMPT_BYTES RATE KEY
 *
 * Modes:
 *   plain   closed loop: each connection sends a request, reads the answer of 1.1 KB, sends the next
 *   rate    open loop: RATE requests a second; the latency counts from the moment a request was due
 *   flood   streams of 103 events of 280 bytes; an event is sent when the client has the one before it,
 *           so every event passes the proxy by itself, as fast as the proxy can
 *   paced   the same streams with RATE events a second each
 *   models  like plain, RATE requests in all, each with one of 10,000 names of a model
 *   hold    opens CONNECTIONS streams and sends each RATE events a second (0: none) until told to end
 *
 * One second after the start it says "begin", at the end one line of JSON. UPSTREAM_PORT 0 picks a port, which
 * is said first: "port N". "hold" says "open" when all streams have their first event and "end" comes by stdin.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { NAMES = 10000, EVENTS = 103, EVENT_BYTES = 280, ANSWER_BODY = 980, READ_BYTES = 262144 };
enum role { LISTENING, SERVER, CLIENT, INPUT };
enum mode { PLAIN, RATE, MODELS, FLOOD, PACED, HOLD };

struct conn {
  enum role role;
  int fd, id;
  /* server: the request being read */
  char head[4096];
  size_t head_len;
  long body_left;
  int asks_usage, seed, streaming, sent;
  char window[32];
  size_t window_len;
  /* client: the answer being read */
  int in_head, chunked, busy, got;
  long length_left;
  char last[8];
  char prev;
  int64_t due, next_event;
};

static enum mode mode;
static int epoll, upstream_port, proxy_port, connections, prompt_bytes;
static double rate, seconds;
static const char *key = "";
static struct conn *clients, **stream_of;
static char *buffer, *request;
static size_t request_len, seed_at, model_at;
static char answer[2048], stream_head[256], event[512], tail_plain[256], tail_usage[1024];
static size_t answer_len, stream_head_len, event_len, tail_plain_len, tail_usage_len;
static int measuring, stopping, first_events;
static long done, asked, events, errors, accepted, *latencies, latency_count, latency_room, wrong;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void die(const char *what) { perror(what); exit(1); }

static void watch(struct conn *c) {
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e)) die("epoll_ctl");
}

static void put(struct conn *c, const char *data, size_t n) {
  while (n) {
    ssize_t sent = send(c->fd, data, n, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue; /* a loopback peer always reads on */
    if (sent < 0) { if (!stopping) errors++; return; }
    data += sent; n -= (size_t)sent;
  }
}

static void build(void) {
  char body[ANSWER_BODY + 1];
  int n = snprintf(body, sizeof body,
    "{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion\",\"created\":1750000000,\"model\":\"bench-model\","
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
  static const char end[] = "\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":120,"
    "\"completion_tokens\":103,\"total_tokens\":223,\"prompt_tokens_details\":{\"cached_tokens\":0}}}";
  while (n < ANSWER_BODY - (int)strlen(end)) body[n] = "the flow is known "[n % 18], n++;
  memcpy(body + n, end, strlen(end)); n += (int)strlen(end);
  answer_len = (size_t)snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    "x-request-id: req_0123456789\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Length: %d\r\n\r\n%.*s", n, n, body);
  stream_head_len = (size_t)snprintf(stream_head, sizeof stream_head, "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nx-request-id: req_0123456789\r\n"
    "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n");
  char data[EVENT_BYTES + 1];
  n = snprintf(data, sizeof data, "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":"
    "1750000000,\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" flow\"},\"logprobs\":null,"
    "\"finish_reason\":null}],\"system_fingerprint\":\"");
  static const char close[] = "\"}\n\n";
  while (n < EVENT_BYTES - (int)strlen(close)) body[0] = 'f', data[n++] = 'f';
  memcpy(data + n, close, strlen(close)); n += (int)strlen(close);
  event_len = (size_t)snprintf(event, sizeof event, "%x\r\n%.*s\r\n", n, n, data);
  static const char finished[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
  tail_plain_len = (size_t)snprintf(tail_plain, sizeof tail_plain, "%s", finished);
  static const char usage[] = "data: {\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,"
    "\"model\":\"bench-model\",\"choices\":[],\"usage\":{\"prompt_tokens\":120,\"completion_tokens\":103,"
    "\"total_tokens\":223}}\n\n";
  tail_usage_len = (size_t)snprintf(tail_usage, sizeof tail_usage, "%zx\r\n%s\r\n%s", strlen(usage), usage, finished);

  char *text = malloc((size_t)prompt_bytes + 2048);
  int stream = mode >= FLOOD;
  int model = sprintf(text, "{\"model\":\"bench-model%s", mode == MODELS ? "-" : "");
  int b = model + sprintf(text + model, "%s\",%s\"temperature\":0.7,\"seed\":", mode == MODELS ? "00000" : "", stream ? "\"stream\":true," : "");
  int seed = b;
  b += sprintf(text + b, "1000000,\"messages\":[{\"role\":\"user\",\"content\":\"");
  while (b < prompt_bytes - 4) text[b] = "what flows over the weir "[b % 25], b++;
  b += sprintf(text + b, "\"}]}");
  request = malloc((size_t)b + 1024);
  int h = sprintf(request, "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: application/json\r\n"
    "Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nContent-Type: application/json\r\n"
    "User-Agent: OpenAI/Python 3.52.0\r\nX-Stainless-Lang: python\r\nX-Stainless-Retry-Count: 0\r\n"
    "Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", proxy_port, key, b);
  memcpy(request + h, text, (size_t)b);
  request_len = (size_t)(h + b); seed_at = (size_t)(h + seed); model_at = (size_t)(h + model);
  free(text);
}

/* -- the clients */

static void ask(struct conn *c, int64_t due) {
  char digits[16];
  snprintf(digits, sizeof digits, "%d", 1000000 + c->id);
  memcpy(request + seed_at, digits, 7);
  if (mode == MODELS) {
    snprintf(digits, sizeof digits, "%05ld", asked % NAMES);
    memcpy(request + model_at, digits, 5);
  }
  asked++;
  c->in_head = 1; c->head_len = 0; c->busy = 1; c->got = 0; c->chunked = 0; c->due = due; c->prev = 0;
  memset(c->last, 0, sizeof c->last);
  put(c, request, request_len);
}

static void next_event(int id) {
  struct conn *s = stream_of[id];
  if (!s || !s->streaming) return;
  if (s->sent < EVENTS || mode == HOLD) { s->sent++; put(s, event, event_len); return; }
  s->streaming = 0; stream_of[id] = NULL;
  put(s, s->asks_usage ? tail_usage : tail_plain, s->asks_usage ? tail_usage_len : tail_plain_len);
}

static void answered(struct conn *c) {
  int64_t now = now_ns();
  c->busy = 0;
  if (measuring) {
    done++;
    if (latency_count < latency_room) latencies[latency_count++] = (long)(now - c->due);
  }
  if (stopping || mode == RATE || (mode == MODELS && asked >= (long)rate)) return;
  ask(c, now);
}

static void client_reads(struct conn *c, char *data, size_t n) {
  while (n) {
    if (c->in_head) {
      size_t take = n < sizeof c->head - 1 - c->head_len ? n : sizeof c->head - 1 - c->head_len;
      memcpy(c->head + c->head_len, data, take);
      size_t before = c->head_len;
      c->head_len += take; c->head[c->head_len] = 0;
      char *end = strstr(c->head, "\r\n\r\n");
      if (!end) { if (take < n) errors++; return; }
      size_t head = (size_t)(end - c->head) + 4;
      data += head - before; n -= head - before;
      c->in_head = 0;
      *end = 0;
      if (strncmp(c->head + 9, "200", 3)) wrong++;
      char *length = strcasestr(c->head, "content-length:");
      c->chunked = length == NULL;
      c->length_left = length ? atol(length + 15) : 0;
      continue;
    }
    if (!c->chunked) {
      c->length_left -= (long)n;
      if (c->length_left <= 0) answered(c);
      return;
    }
    int seen = 0;
    for (size_t i = 0; i < n; i++) { if (data[i] == '\n' && c->prev == '\n') seen++; c->prev = data[i]; }
    char both[16]; size_t keep = n < 5 ? n : 5;
    memcpy(both, c->last, 5); memcpy(both + 5, data + n - keep, keep);
    memcpy(c->last, both + keep, 5);
    if (measuring) events += seen;
    int ended = !memcmp(c->last, "0\r\n\r\n", 5);
    for (int i = 0; i < seen; i++) {
      if (++c->got == 1) first_events++;
      if (mode == FLOOD && c->got <= EVENTS) next_event(c->id);
    }
    if (ended) answered(c);
    return;
  }
}

/* -- the model server */

static void server_answers(struct conn *s) {
  if (mode < FLOOD) { put(s, answer, answer_len); return; }
  int id = s->seed - 1000000;
  if (id < 0 || id >= connections) { errors++; return; }
  stream_of[id] = s; s->streaming = 1; s->sent = 0;
  char first[1024];
  memcpy(first, stream_head, stream_head_len);
  memcpy(first + stream_head_len, event, event_len);
  s->sent = 1;
  put(s, first, stream_head_len + event_len);
  int64_t gap = rate > 0 ? (int64_t)(1e9 / rate) : 0;
  s->next_event = now_ns() + gap / 2 + (gap ? gap * (id % 97) / 97 : 0);
}

/* What stands at the body's start is enough: the rewritten fields are put there too. */
static void look(struct conn *s, const char *data, size_t n) {
  size_t room = sizeof s->head - 1 - s->head_len, take = n < room ? n : room;
  memcpy(s->head + s->head_len, data, take);
  s->head_len += take; s->head[s->head_len] = 0;
}

static void server_reads(struct conn *s, char *data, size_t n) {
  while (n) {
    if (s->body_left < 0) {
      size_t before = s->head_len;
      look(s, data, n);
      char *end = strstr(s->head, "\r\n\r\n");
      if (!end) return;
      size_t head = (size_t)(end - s->head) + 4;
      data += head - before; n -= head - before;
      *end = 0;
      char *length = strcasestr(s->head, "content-length:");
      s->body_left = length ? atol(length + 15) : 0;
      if (!length) errors++;
      s->head_len = 0;
    }
    size_t take = (long)n < s->body_left ? n : (size_t)s->body_left;
    look(s, data, take);
    data += take; n -= take; s->body_left -= (long)take;
    if (s->body_left == 0) {
      char *seed = strstr(s->head, "\"seed\":");
      s->seed = seed ? atoi(seed + 7) : -1;
      s->asks_usage = strstr(s->head, "include_usage") != NULL;
      s->body_left = -1; s->head_len = 0;
      server_answers(s);
    }
  }
}

static void open_client(int id) {
  struct conn *c = &clients[id];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)proxy_port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int one = 1;
  c->role = CLIENT; c->id = id;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to)) die("connect");
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  watch(c);
}

static void take_connections(struct conn *listening) {
  for (;;) {
    int fd = accept4(listening->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (fd < 0) return;
    struct conn *s = calloc(1, sizeof *s);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->role = SERVER; s->fd = fd; s->body_left = -1;
    accepted++;
    watch(s);
  }
}

static void ready(struct conn *c) {
  if (c->role == LISTENING) { take_connections(c); return; }
  if (c->role == INPUT) { stopping = 1; return; }
  ssize_t n = recv(c->fd, buffer, READ_BYTES, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    if (c->role == CLIENT && !stopping) { errors++; c->busy = 0; }
    if (c->role == SERVER && c->streaming && !stopping) errors++;
    epoll_ctl(epoll, EPOLL_CTL_DEL, c->fd, NULL);
    close(c->fd);
    if (c->role == SERVER) {
      if (c->streaming) stream_of[c->seed - 1000000] = NULL;
      free(c);
    }
    return;
  }
  if (c->role == SERVER) server_reads(c, buffer, (size_t)n);
  else client_reads(c, buffer, (size_t)n);
}

static void poll_once(int wait_ms) {
  struct epoll_event found[512];
  int n = epoll_wait(epoll, found, 512, wait_ms);
  for (int i = 0; i < n; i++) ready(found[i].data.ptr);
}

static void pace(int64_t now) {
  for (int i = 0; i < connections; i++) {
    struct conn *s = stream_of[i];
    if (!s || !s->streaming || now < s->next_event) continue;
    s->next_event += (int64_t)(1e9 / rate);
    next_event(i);
  }
}

static int by_size(const void *a, const void *b) {
  long x = *(const long *)a, y = *(const long *)b;
  return (x > y) - (x < y);
}

static double percentile(double p) {
  return latency_count ? (double)latencies[(long)(p * (double)(latency_count - 1))] / 1000.0 : 0;
}

int main(int argc, char **argv) {
  if (argc != 9) { fprintf(stderr, "traffic MODE PROXY_PORT UPSTREAM_PORT SECONDS CONNECTIONS PROMPT_BYTES RATE KEY\n"); return 2; }
  static const char *names[] = {"plain", "rate", "models", "flood", "paced", "hold"};
  for (int i = 0; i < 6; i++) if (!strcmp(argv[1], names[i])) mode = (enum mode)i;
  proxy_port = atoi(argv[2]); upstream_port = atoi(argv[3]); seconds = atof(argv[4]);
  connections = atoi(argv[5]); prompt_bytes = atoi(argv[6]); rate = atof(argv[7]); key = argv[8];
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files); files.rlim_cur = files.rlim_max; setrlimit(RLIMIT_NOFILE, &files);
  epoll = epoll_create1(EPOLL_CLOEXEC);
  buffer = malloc(READ_BYTES);
  clients = calloc((size_t)connections, sizeof *clients);
  stream_of = calloc((size_t)connections, sizeof *stream_of);
  latency_room = 4000000; latencies = malloc(sizeof *latencies * (size_t)latency_room);
  build();

  struct conn listening = {.role = LISTENING};
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)upstream_port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int one = 1;
  listening.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(listening.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listening.fd, (struct sockaddr *)&at, sizeof at) || listen(listening.fd, 4096)) die("listen");
  watch(&listening);
  struct conn input = {.role = INPUT, .fd = 0};
  if (mode == HOLD) watch(&input);

  if (mode == MODELS) { measuring = 1; printf("begin\n"); fflush(stdout); } /* each one counts */
  for (int i = 0; i < connections; i++) {
    open_client(i);
    if (mode != RATE) ask(&clients[i], now_ns());
    poll_once(0);
  }
  if (mode == HOLD) {
    int64_t limit = now_ns() + 60000000000LL;
    while (first_events < connections && now_ns() < limit) poll_once(100);
    printf("open %d\n", first_events); fflush(stdout);
    while (!stopping) {
      poll_once(rate > 0 ? 1 : 100);
      if (rate > 0) pace(now_ns());
    }
    printf("{\"open\":%d,\"errors\":%ld,\"wrong\":%ld}\n", first_events, errors, wrong);
    return 0;
  }

  int64_t begin = now_ns() + 1000000000LL, end = begin + (int64_t)(seconds * 1e9), due = now_ns();
  int64_t gap = mode == RATE ? (int64_t)(1e9 / rate) : 0;
  int turn = 0;
  long missed = 0;
  for (;;) {
    int64_t now = now_ns();
    if (!measuring && !stopping && now >= begin) { measuring = 1; printf("begin\n"); fflush(stdout); }
    if (now >= end || (mode == MODELS && done >= (long)rate)) break;
    if (mode == RATE) {
      while (due <= now) {
        int tried = 0;
        while (tried < connections && clients[turn].busy) { turn = (turn + 1) % connections; tried++; }
        if (tried == connections) { missed++; break; } /* it is sent as soon as one is free, and counts from when it was due */
        ask(&clients[turn], due);
        due += gap;
      }
    }
    if (mode == PACED) pace(now);
    poll_once(mode == RATE || mode == PACED ? 0 : 100);
  }
  measuring = 0; stopping = 1;
  double took = (double)(now_ns() - begin) / 1e9;
  /* what is under way ends before anybody looks */
  int64_t limit = now_ns() + 3000000000LL;
  for (int busy = 1; busy && now_ns() < limit;) {
    busy = 0;
    for (int i = 0; i < connections; i++) busy |= clients[i].busy;
    if (mode == PACED) pace(now_ns());
    if (busy) poll_once(1);
  }
  qsort(latencies, (size_t)latency_count, sizeof *latencies, by_size);
  printf("{\"seconds\":%.4f,\"requests\":%ld,\"events\":%ld,\"errors\":%ld,\"wrong\":%ld,\"upstream_connections\":%ld,"
    "\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f}\n", took, done, events, errors, wrong, accepted,
    percentile(0.5), percentile(0.99), percentile(0.999));
  return 0;
}
