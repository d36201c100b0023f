import EditSettings
import Foundation
import Synchronization
import Tensor
import Testing
import VideoEditing

@testable import ClipEdit

@Suite struct InversionCacheTests {
  @Test("another target prompt reuses the inversion, and its bits are as without")
  func reuse() throws {
    let folder = try TemporaryFolder()
    let cache = folder.path("cache")
    var settings = EditRun.larger
    var first = EditRun(settings, cache: cache)
    #expect(try !first().inversionReused)

    (settings.prompt, settings.negativePrompt, settings.guidance) = ("a blue cube", "snow", 5)
    var without = EditRun(settings, checkpoint: folder.path("without"))
    _ = try without()
    var with = EditRun(settings, checkpoint: folder.path("with"), cache: cache)
    #expect(try with().inversionReused)
    #expect(with.notes == ["reuses the inversion of an earlier job"])
    #expect(with.steps.filter { $0.hasPrefix("invert") } == ["invert 3"])
    for series in ["edit", "pictures"] {
      #expect(
        try parts(folder.path("with"), of: series) == parts(folder.path("without"), of: series))
    }
    // No second copy of what the cache has.
    let entry = try #require(try names(in: cache + "/inversions").first)
    let part = try #require(try parts(folder.path("with"), of: "latents", "trajectory").first)
    #expect(
      FileManager.default.contentsEqual(
        atPath: cache + "/inversions/" + entry, andPath: folder.path("with/") + part))
    #expect(try inode(cache + "/inversions/" + entry) == inode(folder.path("with/") + part))
  }

  private func inode(_ path: String) throws -> UInt64 {
    var status = stat()
    try #require(lstat(path, &status) == 0)
    return UInt64(status.st_ino)
  }

  @Test("what was reused outlives the cache: a cut edit goes on without it")
  func outlivesTheCache() throws {
    let folder = try TemporaryFolder()
    var run = EditRun(cache: folder.path("cache"))
    _ = try run()
    var whole = EditRun(checkpoint: folder.path("whole"))
    _ = try whole()
    run = EditRun(checkpoint: folder.path("c"), cache: folder.path("cache"))
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "edit 1") }
    try FileManager.default.removeItem(atPath: folder.path("cache"))
    #expect(try run().inversionReused)
    #expect(run.notes == ["continues at edit 1/3"])
    #expect(
      try parts(folder.path("c"), of: "pictures") == parts(folder.path("whole"), of: "pictures"))
    // What came from elsewhere is not passed on as this job's own.
    #expect(try names(in: folder.path("cache/inversions")) == [])
  }

  @Test("an inversion that was cut off is not reused, and once complete it is")
  func cutInversion() throws {
    let folder = try TemporaryFolder()
    let cache = folder.path("cache")
    var run = EditRun(checkpoint: folder.path("c"), cache: cache)
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "invert 2") }
    #expect(try names(in: cache + "/inversions") == [])
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "invert 3") }
    #expect(run.notes == ["continues at invert 2/3"])
    // As if it had been killed between the checkpoint and the cache.
    for name in try names(in: cache + "/inversions") { unlink(cache + "/inversions/" + name) }
    #expect(throws: EditRun.Cut.self) { try run(cutAt: "edit 1") }
    #expect(try names(in: cache + "/inversions").count == 1)
    var other = EditRun(cache: cache)
    #expect(try other().inversionReused)
    // A partial inversion gives way to a whole one.
    var late = EditRun(checkpoint: folder.path("late"))
    #expect(throws: EditRun.Cut.self) { try late(cutAt: "invert 1") }
    late.keeping.cacheFolder = cache
    #expect(try late().inversionReused)
    #expect(try parts(folder.path("late"), of: "trajectory") == [])
  }

  @Test("only what determines the inversion counts")
  func key() throws {
    let folder = try TemporaryFolder()
    func reuses(_ change: (inout EditSettings) -> Void) throws -> Bool {
      var run = EditRun(cache: folder.path("cache"))
      run.settings.steps = 2
      change(&run.settings)
      return try run().inversionReused
    }
    #expect(try !reuses { _ in })
    #expect(try reuses { _ in })
    #expect(try reuses { $0.method = .reconstruct })
    #expect(try !reuses { $0.sourcePrompt = "a ball" })
    #expect(try !reuses { $0.seed = 1 })
    #expect(try !reuses { $0.frames = 2 })
    #expect(try !reuses { $0.size = .exactly(FrameSize(width: 72, height: 64)) })
    #expect(try !reuses { $0.steps = 3 })
    #expect(try !reuses { $0.bases = 15 })
    #expect(try !reuses { $0.iterations = 4 })
    #expect(try !reuses { $0.inversion = .ddim })
    // DDIM inversion has nothing to do with the seed and with bases.
    #expect(
      try reuses {
        $0.inversion = .ddim
        ($0.seed, $0.bases) = (7, 8)
      })
    let threads = Parallel.threads
    defer { Parallel.threads = threads }
    Parallel.threads = threads + 1
    #expect(try !reuses { _ in })
  }

  @Test("a damaged inversion is noticed, removed and made anew")
  func damaged() throws {
    let folder = try TemporaryFolder()
    let inversions = folder.path("cache/inversions/")
    var run = EditRun(checkpoint: folder.path("whole"), cache: folder.path("cache"))
    _ = try run()
    let name = try #require(try names(in: inversions).first)
    var bytes = try Data(contentsOf: URL(fileURLWithPath: inversions + name))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: inversions + name))
    run = EditRun(checkpoint: folder.path("c"), cache: folder.path("cache"))
    #expect(try !run().inversionReused)
    #expect(run.notes.count == 1 && run.notes[0].contains("damaged"))
    #expect(try parts(folder.path("c")) == parts(folder.path("whole")))
    #expect(try names(in: inversions) == [name])
    #expect(try run().inversionReused == false && run.notes == ["continues at decode-latents 3/3"])
    run.keeping.checkpointFolder = nil
    #expect(try run().inversionReused)
  }

  // MARK: The folder

  private func key(_ number: Int) -> String { String(format: "%032d", number) }

  /// Four kilobytes.
  private func inversion(_ number: Int) -> EditStates {
    var states = EditStates()
    states.add(["state": Tensor(repeating: Float(number), shape: [512])], .latents, 0)
    states.add(["state": Tensor(repeating: Float(-number), shape: [512])], .trajectory, 0)
    return states
  }

  private func keys(_ cache: InversionCache) throws -> [String] {
    try names(in: cache.folder).map { String($0.prefix(32)) }
  }

  @Test("what was not used for longest goes first, and using counts")
  func leastRecentlyUsed() throws {
    let folder = try TemporaryFolder()
    let cache = try InversionCache(folder: folder.path("cache"), limit: 16_000)
    for number in 1...3 {
      try cache.publish(inversion(number), as: key(number))
      usleep(2000)
    }
    #expect(try keys(cache) == [key(1), key(2), key(3)])
    #expect(cache.find(key(1), steps: 1, damaged: {}) != nil)
    usleep(2000)
    try cache.publish(inversion(4), as: key(4))
    #expect(try keys(cache) == [key(1), key(3), key(4)])
    // Of other steps it is of no use.
    #expect(cache.find(key(9), steps: 1, damaged: {}) == nil)
  }

  @Test("an inversion beyond the limit is not kept, and evicts nothing")
  func tooLarge() throws {
    let folder = try TemporaryFolder()
    try InversionCache(folder: folder.path("cache"), limit: 16_000).publish(
      inversion(1), as: key(1))
    let small = try InversionCache(folder: folder.path("cache"), limit: 4000)
    try small.publish(inversion(2), as: key(2))
    #expect(try keys(small) == [key(1)])
  }

  @Test("strangers' files are left alone, and count for nothing")
  func strangers() throws {
    let folder = try TemporaryFolder()
    let cache = try InversionCache(folder: folder.path("cache"), limit: 5000)
    let names = ["x.safetensors", "notes.txt", ".writing-1.part"]
    for name in names {
      try Data(count: 10_000).write(to: URL(fileURLWithPath: cache.folder + "/" + name))
    }
    for number in 1...3 { try cache.publish(inversion(number), as: key(number)) }
    #expect(try names.allSatisfy { try ClipEditTests.names(in: cache.folder).contains($0) })
  }

  @Test("many may publish, use and evict at once, and whoever finds something finds it whole")
  func atOnce() throws {
    let folder = try TemporaryFolder()
    let cache = try InversionCache(folder: folder.path("cache"), limit: 16_000)
    let wrong = Mutex<[String]>([])
    DispatchQueue.concurrentPerform(iterations: 8) { worker in
      for round in 0..<40 {
        let number = (worker * 3 + round) % 6 + 1
        do {
          if let entry = cache.find(
            key(number), steps: 1, damaged: { wrong.withLock { $0.append("damaged") } })
          {
            var states = entry.states
            let found = states.take(.trajectory, 0)?["state"]?.values
            if found != Array(repeating: Float(-number), count: 512) {
              wrong.withLock { $0.append("other content") }
            }
          } else {
            try cache.publish(inversion(number), as: key(number))
          }
        } catch { wrong.withLock { $0.append("\(error)") } }
      }
    }
    #expect(wrong.withLock { $0 } == [])
    try cache.publish(inversion(7), as: key(7))
    #expect((1...3).contains(try keys(cache).count))
  }
}
