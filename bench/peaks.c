// peaks.c -- the machine's peaks, measured: fused multiply-adds in registers, and bytes moved per working set.
// Usage: peaks THREADS. Prints one JSON line: {"gflops": G, "bandwidth": {"<bytes of all threads>": GB/s, ...}}.
// "Moved" counts bytes read and bytes written once each; each figure is the best of a few tries.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__AVX512F__)
#define BYTES 64
#elif defined(__AVX__)
#define BYTES 32
#else
#define BYTES 16
#endif
#define LANES (BYTES / 4)
#define CHAINS 12  // latency times throughput of the FMA units, and fits 16 registers
#define MAX_THREADS 256

typedef float vec __attribute__((vector_size(BYTES)));

typedef struct {
  double (*work)(size_t bytes, float* a, float* b);  // does one batch, returns the amount done
  size_t bytes;
  double seconds, rate;
} Job;

static volatile float sink;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static double fma_batch(size_t bytes, float* a, float* b) {
  (void)bytes;
  const int steps = 4096;
  vec acc[CHAINS], x = *(vec*)a, y = *(vec*)b, total = {0};
  for (int j = 0; j < CHAINS; j++) acc[j] = x + (float)j;
  for (int i = 0; i < steps; i++)
    for (int j = 0; j < CHAINS; j++) acc[j] = acc[j] * x + y;
  for (int j = 0; j < CHAINS; j++) total += acc[j];
  sink = total[0];
  return 2.0 * LANES * CHAINS * steps;
}

static double copy_batch(size_t bytes, float* a, float* b) {
  memcpy(b, a, bytes / 2);
  __asm__ volatile("" ::: "memory");
  return bytes;
}

static double scale_batch(size_t bytes, float* a, float* b) {
  const size_t n = bytes / 2 / sizeof(vec);
  const vec *restrict x = (const vec*)a;
  vec *restrict y = (vec*)b;
  for (size_t i = 0; i < n; i++) y[i] = x[i] * 0.5f;
  __asm__ volatile("" ::: "memory");
  return bytes;
}

static double read_batch(size_t bytes, float* a, float* b) {
  const size_t n = bytes / 2 / sizeof(vec);
  const vec *x = (const vec*)a, *y = (const vec*)b;
  vec s[4] = {{0}}, total;
  for (size_t i = 0; i + 1 < n; i += 2) {
    s[0] += x[i];
    s[1] += y[i];
    s[2] += x[i + 1];
    s[3] += y[i + 1];
  }
  total = s[0] + s[1] + s[2] + s[3];
  sink = total[0];
  return bytes;
}

static void* run(void* arg) {
  Job* job = arg;
  const size_t half = job->bytes / 2 + BYTES;
  float *a = aligned_alloc(4096, (half + 4095) / 4096 * 4096), *b = aligned_alloc(4096, (half + 4095) / 4096 * 4096);
  if (!a || !b) exit(1);
  for (size_t i = 0; i < half / 4; i++) a[i] = b[i] = 1e-3f;
  job->work(job->bytes, a, b);
  double done = 0, start = now(), took;
  do {
    done += job->work(job->bytes, a, b);
  } while ((took = now() - start) < job->seconds);
  job->rate = done / took;
  free(a);
  free(b);
  return NULL;
}

static double best_rate(double (*work)(size_t, float*, float*), size_t bytes, int threads) {
  double best = 0;
  for (int attempt = 0; attempt < 3; attempt++) {
    Job jobs[MAX_THREADS];
    pthread_t ids[MAX_THREADS];
    for (int t = 0; t < threads; t++) {
      jobs[t] = (Job){work, bytes / threads, 0.02, 0};
      pthread_create(&ids[t], NULL, run, &jobs[t]);
    }
    double total = 0;
    for (int t = 0; t < threads; t++) {
      pthread_join(ids[t], NULL);
      total += jobs[t].rate;
    }
    if (total > best) best = total;
  }
  return best * 1e-9;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 1;
  if (threads < 1 || threads > MAX_THREADS) return 2;
  printf("{\"gflops\": %.2f, \"bandwidth\": {", best_rate(fma_batch, 0, threads));
  const size_t sizes[] = {64u << 10, 512u << 10, 4u << 20, 32u << 20, 256u << 20};
  for (int i = 0; i < 5; i++) {
    double best = 0;
    double (*kinds[])(size_t, float*, float*) = {copy_batch, scale_batch, read_batch};
    for (int k = 0; k < 3; k++) {
      const double rate = best_rate(kinds[k], sizes[i], threads);
      if (rate > best) best = rate;
    }
    printf("%s\"%zu\": %.2f", i ? ", " : "", sizes[i], best);
  }
  printf("}}\n");
  return 0;
}
