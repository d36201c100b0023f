import COpenMP
import Glibc

/// Runs loops on the OpenMP threads that oneDNN and OpenBLAS also run on, so that the program never
/// has more busy threads than cores.
public enum Parallel {
  /// How many threads the calling thread's operations use. The division of work, and so the last
  /// bits of results, depend on it.
  public static var threads: Int {
    get {
      settle()
      return Int(omp_get_max_threads())
    }
    set { omp_set_num_threads(Int32(min(max(1, newValue), mostThreads))) }
  }

  /// Starts this program anew where OpenMP's threads would wait for each other by spinning for long,
  /// which is their default and can only be chosen before they exist. On a machine with other work
  /// to do, spinning takes the very processors that are waited for: an edit beside another took 28 s
  /// instead of 8. Not to spin at all costs a small model a third of its speed; some microseconds
  /// are between the two. Call it first thing in the process; it returns where there is nothing to
  /// change.
  public static func waitPatiently() {
    guard getenv("OMP_WAIT_POLICY") == nil, getenv("GOMP_SPINCOUNT") == nil,
      setenv("OMP_WAIT_POLICY", "passive", 1) == 0, setenv("GOMP_SPINCOUNT", "1000", 1) == 0
    else { return }
    // By its own name, which is what the system's tools then show.
    guard let program = realpath("/proc/self/exe", nil) else { return }
    execv(program, CommandLine.unsafeArgv)
    free(program)
  }

  /// Calls `body` as if there were one thread only.
  static func asOneThread<R>(_ body: () -> R) -> R {
    let before = omp_get_max_threads()
    omp_set_num_threads(1)
    defer { omp_set_num_threads(before) }
    return body()
  }

  /// Makes sure that the calling thread's teams have just as many threads as they say. With
  /// OMP_THREAD_LIMIT or OMP_DYNAMIC in the environment a team may have fewer, and oneDNN, which
  /// divides the work beforehand, would leave some of it undone.
  static func settle() {
    // Every operation asks for its threads.
    Activity.note()
    if omp_get_dynamic() != 0 { omp_set_dynamic(0) }
    let limit = omp_get_thread_limit()
    if omp_get_max_threads() > limit { omp_set_num_threads(limit) }
  }

  /// More than any machine that this runs on has processors.
  public static let mostThreads = 1024

  /// Calls `body` once for each of at most `threads` even parts of `0 ..< count`; a part has at
  /// least `atLeast` elements, so that small loops stay on one thread.
  public static func ranges(of count: Int, atLeast least: Int = 1, _ body: (Range<Int>) -> Void) {
    parts(of: count, atLeast: least) { _, range in body(range) }
  }

  /// As `ranges`, and tells each part's number, for scratch space and partial results of its own.
  static func parts(
    of count: Int, atLeast least: Int = 1, _ body: (_ part: Int, _ range: Range<Int>) -> Void
  ) {
    guard count > 0 else { return }
    let parts = omp_in_parallel() != 0 ? 1 : min(threads, (count + least - 1) / max(least, 1))
    guard parts > 1 else { return body(0, 0..<count) }
    withoutActuallyEscaping(body) { body in
      var work = Work(parts: parts) { part in
        body(part, (count * part / parts)..<(count * (part + 1) / parts))
      }
      withUnsafeMutablePointer(to: &work) { work in
        GOMP_parallel(
          { $0?.assumingMemoryBound(to: Work.self).pointee.run() }, work,
          UInt32(parts), 0)
      }
    }
  }

  private struct Work {
    let parts: Int
    let body: (Int) -> Void

    /// One thread's share; of a team smaller than was asked for, several parts.
    func run() {
      for part in stride(
        from: Int(omp_get_thread_num()), to: parts, by: Int(omp_get_num_threads()))
      { body(part) }
    }
  }
}

/// A pointer that several threads use on parts of the memory that they do not share.
struct Shared<Pointer>: @unchecked Sendable {
  let pointer: Pointer
  init(_ pointer: Pointer) { self.pointer = pointer }
}
