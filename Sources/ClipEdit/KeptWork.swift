import EditSettings
import Foundation
import Tensor
import VideoEditing

/// An edit's memory on disk: goes on from a checkpoint or from an earlier job's inversion, and
/// leaves both for others. Whatever is wrong with the disk is told, and costs the edit nothing but
/// what was kept.
final class KeptWork: EditMemory {
  /// Threads that the edit is to use, so that its bits are those of an uninterrupted one.
  let threads: Int
  /// Seconds by stage of earlier attempts.
  let secondsBefore: [String: Double]
  private(set) var inversionReused = false

  private let keeping: EditKeeping
  private let fingerprint: EditFingerprint
  private let steps: Int
  private let note: (String) -> Void
  private let wantsCheckpoint: () -> Bool
  private let checkpointed: (EditProgress) -> Void
  private let seconds: () -> [String: Double]

  private let folder: CheckpointFolder?
  private var parts: [CheckpointManifest.Part] = []
  /// Parts to be removed once a manifest without them is on the disk.
  private var dropped: Set<String> = []
  private var pending: [EditSeries: EditStates] = [:]
  /// Numbers of a long clip that do not wait for the interval to pass.
  private static let mostPending = 1 << 24
  private var written = ContinuousClock.now
  private var writingFailed = false

  private var recalled = EditStates()
  private var counts: [EditSeries: Int] = [:]
  private var compute = [ComputeIdentity.text]

  private let cache: InversionCache?
  /// What is to be published; `nil` where nothing is.
  private var inversion: EditStates?

  /// - Parameters:
  ///   - steps: of the inversion.
  ///   - seconds: asked for the seconds by stage, over all attempts, whenever they are written.
  ///   - note: told in a sentence what the person who sent the clip should know.
  ///   - wantsCheckpoint: whether the next step is to be kept however short the interval was.
  ///   - checkpointed: called when a checkpoint is on the disk, with where it stands.
  init(
    keeping: EditKeeping, fingerprint: EditFingerprint, steps: Int,
    seconds: @escaping () -> [String: Double], note: @escaping (String) -> Void,
    wantsCheckpoint: @escaping () -> Bool, checkpointed: @escaping (EditProgress) -> Void
  ) {
    (self.keeping, self.fingerprint, self.steps) = (keeping, fingerprint, steps)
    (self.seconds, self.note) = (seconds, note)
    (self.wantsCheckpoint, self.checkpointed) = (wantsCheckpoint, checkpointed)
    func orNote<Result>(_ what: String, _ body: () throws -> Result?) -> Result? {
      do { return try body() } catch {
        note("\(what): \(error)")
        return nil
      }
    }
    folder = orNote("goes on without checkpoints") {
      try keeping.checkpointFolder.map { try CheckpointFolder($0) }
    }
    cache = orNote("goes on without earlier jobs' inversions") {
      try keeping.cacheFolder.map { try InversionCache(folder: $0, limit: keeping.cacheBytes) }
    }
    let found = folder.flatMap { Self.checkpoint(in: $0, of: fingerprint, note) }
    folder?.removeLeftovers(but: found?.manifest)
    threads = found?.manifest.threads ?? Parallel.threads
    secondsBefore = found?.manifest.seconds ?? [:]
    if let found {
      (recalled, parts) = (found.states, found.manifest.parts)
      (inversionReused, compute) = (found.manifest.inversionReused, found.manifest.compute)
    }
    guard !reuseInversion(), let found else { return }
    let place = found.manifest.progress
    note("continues at \(place.stage.rawValue) \(place.step)/\(place.steps)")
    if threads != Parallel.threads {
      note("computes with \(threads) threads, as before, so that the result is the same")
    }
    if !isOfThisMachine {
      note(
        "another kind of processor or other libraries computed the first part: the result may differ in its last bits from an uninterrupted edit's"
      )
      if compute.last != ComputeIdentity.text { compute.append(ComputeIdentity.text) }
      // Nobody else is to have bits that no one machine computes.
      inversion = nil
    }
  }

  func steps(of series: EditSeries) -> Int {
    if let known = counts[series] { return known }
    let count = recalled.steps(of: series)
    counts[series] = count
    return count
  }

  func recall(_ series: EditSeries, _ index: Int) -> EditState? { recalled.take(series, index) }

  func keep(_ state: EditState, _ series: EditSeries, _ index: Int, at progress: EditProgress) {
    if inversion != nil, EditSeries.inversion.contains(series) {
      inversion?.add(state, series, index)
      if series == .trajectory, index + 1 == steps { publishInversion() }
    }
    guard let folder else { return }
    pending[series, default: EditStates()].add(state, series, index)
    guard
      (ContinuousClock.now - written) / .seconds(1) >= keeping.interval || wantsCheckpoint()
        || pending.values.reduce(0, { $0 + $1.count }) > Self.mostPending
    else { return }
    write(to: folder, at: progress)
    written = .now
  }

  // MARK: The checkpoint

  private static func checkpoint(
    in folder: CheckpointFolder, of fingerprint: EditFingerprint, _ note: (String) -> Void
  ) -> (manifest: CheckpointManifest, states: EditStates)? {
    do {
      guard let manifest = try folder.manifest() else { return nil }
      let other = fingerprint.edit.keys.sorted().filter {
        manifest.fingerprint[$0] != fingerprint.edit[$0]
      }
      guard other.isEmpty, manifest.fingerprint.count == fingerprint.edit.count else {
        throw CheckpointProblem(
          "it is of another edit (other are \(other.isEmpty ? "the settings" : other.joined(separator: ", ")))"
        )
      }
      return (manifest, try folder.states(of: manifest))
    } catch {
      let reason = (error as? CheckpointProblem)?.reason ?? "\(error)"
      note("starts anew, for the checkpoint cannot be used: \(reason)")
      folder.clear()
      return nil
    }
  }

  private func write(to folder: CheckpointFolder, at progress: EditProgress) {
    var (parts, dropped) = (self.parts, self.dropped)
    var fresh: [String] = []
    do {
      for (series, states) in pending.sorted(by: { $0.key.name < $1.key.name }) {
        let part = try folder.write(states, of: series)
        fresh.append(part.name)
        if series.need == .newest {
          dropped.formUnion(parts.filter { $0.series == [series.name] }.map(\.name))
          parts.removeAll { $0.series == [series.name] }
        }
        parts.append(part)
      }
      try folder.commit(
        CheckpointManifest(
          fingerprint: fingerprint.edit, threads: threads, compute: compute, progress: progress,
          seconds: seconds(), inversionReused: inversionReused, parts: parts))
    } catch {
      // Whether the manifest is there is not known when syncing it failed; then its parts are.
      if (try? folder.manifest())?.parts.map(\.name) != parts.map(\.name) { folder.remove(fresh) }
      if !writingFailed { note("goes on, but a checkpoint could not be written: \(error)") }
      writingFailed = true
      return
    }
    (self.parts, writingFailed) = (parts, false)
    pending = [:]
    folder.remove(dropped.subtracting(parts.map(\.name)))
    self.dropped = []
    checkpointed(progress)
  }

  // MARK: The inversion

  private var key: String {
    fingerprint.inversionKey(threads: threads, compute: ComputeIdentity.text)
  }

  /// Begins with an earlier job's inversion where there is one and no more than that has been done.
  private func reuseInversion() -> Bool {
    guard let cache else { return false }
    guard recalled.steps(of: .trajectory) < steps else {
      // Perhaps the attempt was ended just before it published.
      if isOfThisMachine, !inversionReused {
        inversion = recalled.only(EditSeries.inversion)
        publishInversion()
      }
      return false
    }
    guard
      let entry = cache.find(
        key, steps: steps,
        damaged: {
          note("an earlier job's inversion was damaged on the disk: it is removed and made anew")
        })
    else {
      inversion = recalled.only(EditSeries.inversion)
      return false
    }
    note("reuses the inversion of an earlier job")
    (inversionReused, compute) = (true, [ComputeIdentity.text])
    recalled = entry.states
    dropped = Set(parts.map(\.name))
    if let part = folder?.link(entry) {
      parts = [part]
      dropped.remove(part.name)
    } else if folder != nil {
      parts = []
      for series in EditSeries.inversion {
        pending[series] = entry.states.only([series])
      }
    }
    return true
  }

  private var isOfThisMachine: Bool { compute == [ComputeIdentity.text] }

  private func publishInversion() {
    guard let states = inversion, let cache else { return }
    inversion = nil
    do { try cache.publish(states, as: key) } catch {
      note("goes on, but the inversion could not be kept for later jobs: \(error)")
    }
  }
}
