import CLinux
import Foundation
import JobQueue
import Messaging

/// A request whose answer waits for the disk.
struct PendingSubmission {
  var submission: Submission
  var asker: Asker
}

extension Daemon {
  /// Requests that are accepted together share one commit; more than these make the others wait.
  private static let mostBytesPending = 32 << 20

  func acceptsJobs() throws {
    if mode == .draining {
      throw Refusal(
        .draining, "this stemd takes no more jobs, because it is about to stop: ask again later")
    }
  }

  /// Whether clients' messages may wait a moment, because enough of them wait for the disk.
  var hasEnoughPending: Bool { pendingBytes > Self.mostBytesPending }

  func submit(
    _ request: SubmitRequest, _ body: Data?, _ asker: Asker, _ now: ContinuousClock.Instant
  ) throws {
    func pending(_ clip: Submission.Clip) {
      pendingSubmissions.append(
        PendingSubmission(submission: submission(request, clip, asker.client), asker: asker))
    }
    if let key = request.key, let known = try spool.knownJob(client: asker.client.name, key: key) {
      return reply(.job(known, known: true), to: asker)
    }
    try acceptsJobs()
    if request.clip != .body, body != nil {
      throw Refusal(
        .malformed,
        "a submit brings the clip as its third frame, or says 'bytes', 'path' or 'staged': not both"
      )
    }
    switch request.clip {
    case .body:
      guard let body else {
        throw Refusal(
          .malformed,
          "a submit brings the clip as its third frame, or says 'bytes', 'path' or 'staged'")
      }
      pendingBytes += body.count
      pending(.bytes(body))
    case .staged(let name):
      guard asker.client.isLocal else {
        throw Refusal(.forbidden, "'staged' is for clients on this machine: upload the clip")
      }
      // A large one may take long to get to the disk.
      let clip = ReadyClip(clip: name, sidecars: [])
      if !name.contains("/"), let sync = spool.longSync(of: clip) {
        inBackground(.sync, submission(request, .staged(name), asker.client), asker, sync)
      } else {
        pending(.staged(name))
      }
    case .path(let path):
      guard asker.client.isOperator else {
        throw Refusal(.forbidden, "'path' is for operators: upload the clip")
      }
      try copy(path, request, asker)
    case .upload(let bytes):
      guard bytes > 0 else { throw Refusal(.malformed, "'bytes' takes a whole number from 1 up") }
      try spool.checkRequest(submission(request, .bytes(Data()), asker.client))
      try uploads.checkRoom(configuration.limits.uploads)
      let name = OpenUploads.newName()
      uploads.add(
        try spool.beginUpload(named: name, size: bytes, expecting: uploads.expected), named: name,
        request,
        of: asker.client.name, now: now)
      reply(
        .upload(name, received: 0, credit: OpenUploads.credit(received: 0, of: bytes)), to: asker)
    }
  }

  private func submission(
    _ request: SubmitRequest, _ clip: Submission.Clip, _ client: Client
  ) -> Submission {
    Submission(
      name: request.name, settings: request.settings, client: client.name, key: request.key,
      priority: client.isOperator ? request.priority : min(0, request.priority), clip: clip)
  }

  func takeChunk(
    _ name: String, _ offset: Int, _ body: Data?, _ asker: Asker, _ now: ContinuousClock.Instant
  ) throws {
    guard let body, !body.isEmpty else {
      throw Refusal(.malformed, "a chunk brings its bytes as its third frame")
    }
    let upload = try uploads.upload(name, of: asker.client.name)
    do {
      try upload.clip.append(body, at: offset)
    } catch let refusal as Refusal {
      throw refusal
    } catch {
      try uploads.remove(name, of: asker.client.name)
      throw error
    }
    uploads.touch(name, now: now)
    guard upload.clip.isComplete else {
      return reply(
        .credit(
          upload: name, received: upload.clip.received,
          credit: OpenUploads.credit(received: upload.clip.received, of: upload.clip.size)),
        to: asker)
    }
    try uploads.remove(name, of: asker.client.name)
    let submission = submission(upload.request, .upload(upload.clip), asker.client)
    let clip = upload.clip
    inBackground(.sync, submission, asker) { try clip.sync() }
  }

  /// Does what may take long elsewhere, and then submits.
  private func inBackground(
    _ kind: BackgroundWork.Kind, _ submission: Submission, _ asker: Asker,
    _ work: @escaping @Sendable () throws -> Void, end: @escaping () -> Void = {}
  ) {
    background.run(kind, work) { [unowned self] failure in
      end()
      if let failure {
        reply(
          .error(failure as? Refusal ?? Refusal(.unavailable, "\(failure)")), to: asker)
      } else {
        pendingSubmissions.append(PendingSubmission(submission: submission, asker: asker))
      }
    }
  }

  private func copy(_ path: String, _ request: SubmitRequest, _ asker: Asker) throws {
    try spool.checkRequest(submission(request, .bytes(Data()), asker.client))
    try uploads.checkRoom(configuration.limits.uploads)
    let (descriptor, size) = try SubmitFolders(configuration.submitFolders).open(path)
    let clip: ClipUpload
    let name = OpenUploads.newName()
    do {
      clip = try spool.beginUpload(named: name, size: size, expecting: uploads.expected)
    } catch {
      close(descriptor)
      throw error
    }
    uploads.beganCopy(clip, named: name)
    inBackground(.copy, submission(request, .upload(clip), asker.client), asker) {
      defer { close(descriptor) }
      try clip.fill(from: descriptor, named: path)
    } end: { [unowned self] in
      uploads.endedCopy(named: name)
    }
  }

  /// Makes jobs of all requests that wait, with one commit, and answers them.
  func acceptPending() {
    guard !pendingSubmissions.isEmpty else { return }
    let pending = pendingSubmissions
    pendingSubmissions = []
    pendingBytes = 0
    for (pending, outcome) in zip(pending, spool.submit(pending.map(\.submission))) {
      switch outcome {
      case .accepted(let job, let known):
        reply(.job(job, known: known), to: pending.asker)
        if !known { welcome(job) }
      case .refused(let refusal): reply(.error(refusal), to: pending.asker)
      }
    }
    if spool.hasUnfinishedClaims || spool.hasRefusedFolders { retryLater() }
  }
}
