import EditSettings
import Foundation
import JobQueue
import Synchronization
import Testing

@testable import Messaging

@Suite struct ControlClientTests {
  let folder: TemporaryFolder
  let id = JobID(rawValue: "j1")

  init() throws {
    folder = try TemporaryFolder()
  }

  static func job(_ state: JobState, step: Int? = nil) -> Job {
    var job = Job(
      id: JobID(rawValue: "j1"), name: "clip", sourceName: "clip.mp4", state: state,
      settings: EditSettings(prompt: "p"),
      submitted: Date(timeIntervalSince1970: 1_700_000_000))
    job.progress = step.map { EditProgress(stage: .invert, step: $0, steps: 50, frames: 16) }
    return job
  }

  @Test("requests are answered in order")
  func requests() throws {
    let router = AnsweringRouter(folder.endpoint()) { request in
      switch request {
      case .status: [.job(Self.job(.queued))]
      case .list: [.jobs([Self.job(.done)], more: false)]
      default: [.error(Refusal(.state, "no"))]
      }
    }
    defer { router.close() }
    let client = try ControlClient(endpoint: folder.endpoint())
    #expect(try client.request(.status(job: id)) == .job(Self.job(.queued)))
    #expect(try client.request(.list(JobFilter(limit: 5))) == .jobs([Self.job(.done)], more: false))
    #expect(try client.request(.cancel(job: id)) == .error(Refusal(.state, "no")))
  }

  @Test("a daemon that is not there is told from a slow one at once")
  func noDaemon() throws {
    let client = try ControlClient(endpoint: folder.endpoint())
    let error = #expect(throws: MessagingError.self) {
      try client.request(.status(job: nil), timeout: .infinity)
    }
    #expect(
      error?.description
        == "stemd does not answer at \(folder.endpoint()): is it running with this --root?")
  }

  @Test("a daemon that died and left its socket is told at once, too")
  func staleSocket() throws {
    let router = AnsweringRouter(folder.endpoint()) { _ in [.watching] }
    let client = try ControlClient(endpoint: folder.endpoint())
    #expect(try client.request(.watch(job: nil)) == .watching)
    router.close()
    let second = try ControlClient(endpoint: folder.endpoint())
    let error = #expect(throws: MessagingError.self) {
      try second.request(.status(job: nil), timeout: .infinity)
    }
    #expect(error?.description.contains("is it running with this --root?") == true)
  }

  @Test("no answer in time is an error, and its late answer is not taken for the next one's")
  func lateAnswer() throws {
    let router = AnsweringRouter(folder.endpoint()) { request in
      if case .status = request {
        usleep(300_000)
        return [.error(Refusal(.state, "late"))]
      }
      return [.jobs([], more: false)]
    }
    defer { router.close() }
    let client = try ControlClient(endpoint: folder.endpoint())
    let error = #expect(throws: MessagingError.self) {
      try client.request(.status(job: nil), timeout: 0.05)
    }
    #expect(error?.description.contains("did not answer") == true)
    #expect(try client.request(.list(JobFilter(limit: 1))) == .jobs([], more: false))
  }

  @Test("an answer that is not understood is an error")
  func strangeAnswer() throws {
    let endpoint = folder.endpoint()
    let isOpen = DispatchSemaphore(value: 0)
    Thread {
      do {
        let router = try MessageSocket(.router, context: MessagingContext())
        try router.bind(endpoint)
        isOpen.signal()
        let message = try router.next()
        _ = try router.send([message[0], ProtocolVersion.frame, Data(#"{"type":"dance"}"#.utf8)])
        _ = try router.next()
      } catch { isOpen.signal() }
    }.start()
    isOpen.wait()
    let client = try ControlClient(endpoint: endpoint)
    let error = #expect(throws: Refusal.self) { try client.request(.status(job: nil)) }
    #expect(error?.description.contains("“type” does not take “dance”") == true)
    _ = try? client.request(.unwatch, timeout: 0.01)
  }

  @Test("a watched job's present state comes first, then its events, each once")
  func watching() throws {
    let router = AnsweringRouter(folder.endpoint()) { request in
      switch request {
      case .watch: [.watching]
      case .status:
        [
          .job(Self.job(.queued)), .event(Self.job(.queued)), .event(Self.job(.running, step: 1)),
          .event(Self.job(.running, step: 2)), .event(Self.job(.done)),
        ]
      case .unwatch: [.unwatched]
      default: [.error(Refusal(.state, "no"))]
      }
    }
    defer { router.close() }
    let client = try ControlClient(endpoint: folder.endpoint())
    var seen: [Job] = []
    try client.events(of: id) { job in
      seen.append(job)
      return !job.state.isFinal
    }
    #expect(
      seen == [
        Self.job(.queued), Self.job(.running, step: 1), Self.job(.running, step: 2),
        Self.job(.done),
      ])
    #expect(try client.request(.list(JobFilter(limit: 1))) == .error(Refusal(.state, "no")))
    #expect(router.requests.prefix(2) == [.watch(job: id), .status(job: id)])
    #expect(eventually { router.requests.contains(.unwatch) })
  }

  @Test("a watch renews its lease")
  func lease() throws {
    let renewals = Mutex(0)
    let router = AnsweringRouter(folder.endpoint()) { request in
      guard case .watch = request else { return [] }
      let count = renewals.withLock {
        $0 += 1
        return $0
      }
      return count < 4 ? [.watching] : [.watching, .event(Self.job(.done))]
    }
    defer { router.close() }
    let client = try ControlClient(endpoint: folder.endpoint())
    #expect(client.secondsBetweenRenewals * 3 < Watching.lease)
    client.secondsBetweenRenewals = 0.05
    // The event comes only after the third renewal.
    try client.events(of: nil) { _ in false }
    #expect(renewals.withLock { $0 } >= 4)
  }

  @Test("a watch outlives a restart of the daemon and learns what it missed")
  func restart() throws {
    let endpoint = folder.endpoint()
    let first = AnsweringRouter(endpoint) { request in
      switch request {
      case .watch: [.watching]
      case .status: [.job(Self.job(.running, step: 1))]
      default: []
      }
    }
    let client = try ControlClient(endpoint: endpoint)
    client.secondsBetweenRenewals = 0.05
    var second: AnsweringRouter?
    var seen: [Job] = []
    try client.events(of: id) { job in
      seen.append(job)
      if second == nil {
        first.close()
        second = AnsweringRouter(endpoint) { request in
          switch request {
          case .watch: [.watching]
          case .status: [.job(Self.job(.done))]
          default: []
          }
        }
      }
      return !job.state.isFinal
    }
    second?.close()
    #expect(seen == [Self.job(.running, step: 1), Self.job(.done)])
  }

  @Test("a watch that is refused, and one that nobody answers, end with a sentence")
  func refusedWatch() throws {
    let router = AnsweringRouter(folder.endpoint()) { request in
      if case .watch(job: .some) = request {
        return [.error(Refusal(.notFound, "There is no job j1."))]
      }
      return []
    }
    defer { router.close() }
    let client = try ControlClient(endpoint: folder.endpoint())
    let refusal = #expect(throws: Refusal.self) { try client.events(of: id) { _ in true } }
    #expect(refusal?.description == "There is no job j1.")
    let silence = #expect(throws: MessagingError.self) {
      try client.events(of: nil, timeout: 0.05) { _ in true }
    }
    #expect(silence?.description.contains("does not answer") == true)
  }
}
