// libgomp is the thread pool that oneDNN and OpenBLAS run on. These are the entries of its stable ABI (what GCC calls for
// `#pragma omp parallel`), declared here because <omp.h> belongs to whichever compiler is installed and Swift's ships none.
void GOMP_parallel(void (*body)(void *), void *data, unsigned threads, unsigned flags);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
int omp_get_max_threads(void);
int omp_in_parallel(void);
void omp_set_num_threads(int threads);
int omp_get_thread_limit(void);
int omp_get_dynamic(void);
void omp_set_dynamic(int dynamic);
