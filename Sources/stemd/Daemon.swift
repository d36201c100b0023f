import EditSettings
import Foundation
import JobQueue
import Journal
import Logging
import Messaging
import ServiceConfiguration

/// The service: one thread, one loop over everything that can happen.
///
/// The rest of its behaviour stands in extensions, each named after its concern: `Daemon+Inbox`
/// (claims), `Daemon+Control` (clients' requests), `Daemon+Dispatch` (whose job is next) …
final class Daemon {
  /// Between two attempts at something that failed for a reason outside (disk full, outbox not
  /// writable).
  static let retryPause = Duration.seconds(10)
  /// Attempts of one job that may fail without getting any further.
  static let mostFailures = 3
  /// The same of attempts that were cut off through no fault of the job: what nobody can do is not
  /// to be tried for ever, either.
  static let mostInterruptions = 20
  /// Jobs that are given to workers, or fail at that, in one turn.
  static let dispatchesInARow = 16
  /// Messages of one socket that are handled before the others get their turn.
  private static let messagesInARow = 256
  private static let longestRow = Duration.milliseconds(50)

  /// What `status` shows of many workers; `workers` shows all.
  static let mostWorkersInStatus = 1000

  let spool: Spool
  var models: ModelFolders
  let sources: ConfigurationSources
  /// The settings in force.
  var resolved: ResolvedConfiguration
  /// What the last reload found; some of it may wait for a restart.
  var lastRead: ResolvedConfiguration?
  var configuration: Configuration { resolved.values }
  let logger: Logger
  let started = Date()
  /// The first one is for this machine.
  let controlSockets: [MessageSocket]
  let workerSockets: [MessageSocket]
  let processes: WorkerProcesses
  let background: BackgroundWork
  let remote: RemoteSockets?
  private let signals: SignalDescriptor

  var mode: DaemonMode
  var inbox: Inbox?
  /// Found, and not yet claimed: many are claimed over several turns.
  var readyClips: [ReadyClip] = []
  /// Large ones that are on the disk, and claimed next.
  var syncedClips: Set<String> = []
  var workers: [String: Worker] = [:]
  var watchers = Watchers()
  var uploads = OpenUploads()
  var localUsers = LocalUsers()
  var pendingSubmissions: [PendingSubmission] = []
  var pendingBytes = 0
  var turns = JobTurns()
  /// The furthest checkpoint of each job that is not at its end.
  var furthest: [JobID: EditProgress] = [:]
  /// When a job whose attempt failed may be tried again.
  var pauses: [JobID: ContinuousClock.Instant] = [:]
  /// No worker gets a job any more, and none that introduces itself is kept.
  var isStopping = false
  /// Outcomes that the store could not take, for later.
  var unrecorded: [JobID: (outcome: Outcome, attempt: Attempt)] = [:]
  var retryAt: ContinuousClock.Instant?
  /// Something has changed since the idle workers were last offered jobs.
  var mayDispatch = true
  /// Not before this is a job given to a worker.
  var dispatchAt: ContinuousClock.Instant?
  /// Workers that said they cannot do a job.
  var unfit: [JobID: Set<String>] = [:]
  /// When the first of the workers that rest may have a job again.
  var restsEnd: ContinuousClock.Instant?
  /// The limit that keeps new work out at present, as it was reported.
  var holdsBack: Refusal?
  /// Connections that were refused so far, as far as they were reported.
  var connectionsRefused = 0
  var counters = ServiceCounters()
  var metrics = MetricsState()
  var workerComplaints = LogThrottle()
  var controlComplaints = LogThrottle()
  var connectionLimit: ConnectionLimit?
  var serviceManager = ServiceManager()
  private var inboxRetryAt: ContinuousClock.Instant?
  private var lastJudged = ContinuousClock.now
  private var nextTick = ContinuousClock.now

  /// Opens everything, and puts right what a crash left.
  init(
    root: URL, workerProgram: WorkerProgram, configuration resolved: ResolvedConfiguration,
    sources: ConfigurationSources, signals: SignalDescriptor, logger: Logger
  ) throws {
    let configuration = resolved.values
    models = ModelFolders(configuration)
    self.resolved = resolved
    self.sources = sources
    self.logger = logger
    self.signals = signals
    spool = try Spool(root: root, limits: configuration.limits.spool)
    for repair in try spool.reconcile() {
      logger.notice("\(repair.message)", metadata: repair.job.map { ["job": "\($0)"] })
    }
    mode = try spool.store.mode
    inbox = try Inbox(folder: spool.folders.inbox, polling: configuration.polling)
    background = try BackgroundWork()
    let context = try MessagingContext()
    let control = try MessageSocket(
      .router, context: context, largestFrame: configuration.limits.messageBytes)
    try control.bind(spool.folders.controlEndpoint)
    let local = try MessageSocket(
      .router, context: context, largestFrame: configuration.limits.messageBytes)
    // Workers are this daemon's own processes: nobody else has business there.
    try local.bind(spool.folders.workerEndpoint, mode: 0o600)
    var complaints = LogThrottle()
    remote = try RemoteSockets(configuration, folders: spool.folders, context: context) { refusal in
      complaints.log(
        .keyRefused,
        "a connection from \(displayName(refusal.address)) is refused: \(refusal.reason)",
        to: logger, metadata: refusal.fields, now: .now)
    }
    controlSockets = [control] + (remote?.control.map { [$0] } ?? [])
    workerSockets = [local] + (remote?.workers.map { [$0] } ?? [])
    processes = WorkerProcesses(
      count: configuration.workers, program: workerProgram,
      endpoint: spool.folders.workerEndpoint, logger: logger, now: .now)
  }

  func run() throws {
    let counts = try spool.store.countsByState()
    let paused = mode == .paused ? "; it is paused: 'stemctl resume' ends that" : ""
    logger.log(
      .daemonStarted,
      "stemd \(Stemd.version) serves \(displayName(spool.folders.rootPath)); workers: \(configuration.workers), jobs queued: \(counts[.queued] ?? 0)\(paused)"
    )
    warnOfMissingFolders()
    retryLater(.zero)
    showStatus()
    serviceManager.ready()
    while !isStopping { try turn() }
    try stop()
    try endMetrics()
  }

  /// What is no reason not to start, but will make jobs fail: it may come by and by.
  func warnOfMissingFolders() {
    do {
      _ = try models.path(named: nil)
    } catch {
      logger.log(.modelMissing, "jobs that name no model will fail: \(error)")
    }
    for folder in configuration.submitFolders where access(folder, R_OK | X_OK) != 0 {
      logger.warning(
        "no clip can be named below \(displayName(folder)), which 'submit_folders' lists: \(String(cString: strerror(errno)))"
      )
    }
  }

  private func turn() throws {
    let now = ContinuousClock.now
    let sockets = workerSockets + controlSockets
    var sources: [Poller.Source] = [
      .descriptor(signals.descriptor), .descriptor(background.descriptor),
    ]
    sources += sockets.map { .socket($0) }
    if let remote { sources.append(.socket(remote.authenticator.socket)) }
    if let descriptor = inbox?.descriptor { sources.append(.descriptor(descriptor)) }
    let ready = try Poller.wait(
      for: sources, milliseconds: milliseconds(until: nextDeadline, from: now))
    try remote?.authenticator.answerRequests()
    // First the messages: a worker's last words before its end may be that it is done.
    try takeWorkerMessages()
    if ready[0] { takeSignals() }
    if ready[1] { background.finish() }
    try takeControlMessages()
    attend()
  }

  /// Everything that is done in every turn, whatever woke the loop.
  private func attend() {
    let now = ContinuousClock.now
    acceptPending()
    judgeWorkers(now: now)
    letWorkersGo()
    processes.startDue(now: now)
    lookIntoInbox()
    claimReady()
    retryIfDue(now: now)
    dispatch()
    tellPostponedProgress(now: now)
    if now >= nextTick {
      nextTick = now + .seconds(1)
      watchers.removeExpired(now: now)
      uploads.removeIdle(now: now)
      showStatus()
      writeMetricsIfDue(now: now)
      if mode == .draining { serviceManager.extendTimeout() }
      reportKeysAndConnections()
      endIfDrained()
    }
    serviceManager.signOfLife(now: now)
  }

  private func judgeWorkers(now: ContinuousClock.Instant) {
    guard now - lastJudged > .milliseconds(200) else { return }
    // If this process itself stood still, its workers' silence says nothing about them: what they
    // said is not read yet.
    let stoodStill = now - lastJudged > .seconds(3)
    lastJudged = now
    if stoodStill {
      for name in workers.keys { workers[name]?.lastHeard = now }
    } else {
      loseFailing(now: now)
    }
  }

  private var nextDeadline: ContinuousClock.Instant {
    [
      nextTick, inbox?.nextDeadline, inbox == nil ? inboxRetryAt : nil, processes.nextStart,
      retryAt, watchers.nextEvent, pauses.values.min(), serviceManager.nextSign, dispatchAt,
      restsEnd,
      readyClips.isEmpty || !mayClaim ? nil : .now, hasEnoughPending ? .now : nil,
    ].compactMap { $0 }.min() ?? nextTick
  }

  private func milliseconds(
    until deadline: ContinuousClock.Instant, from now: ContinuousClock.Instant
  ) -> Int {
    max(0, Int(((deadline - now) / .milliseconds(1)).rounded(.up)))
  }

  private func takeWorkerMessages() throws {
    for (index, socket) in workerSockets.enumerated() {
      for _ in 0..<Self.messagesInARow {
        guard let message = try socket.receiveFromPeer() else { break }
        workerMessage(message, onSocket: index)
      }
    }
  }

  private func takeControlMessages() throws {
    for (index, socket) in controlSockets.enumerated() {
      let end = ContinuousClock.now + Self.longestRow
      for _ in 0..<Self.messagesInARow where !hasEnoughPending && .now < end {
        guard let message = try socket.receiveFromPeer() else { break }
        controlMessage(message, onSocket: index)
      }
    }
  }

  private func takeSignals() {
    for signal in signals.read() {
      switch signal {
      case SIGCHLD: break
      case SIGHUP: reload()
      default:
        logger.log(.daemonStopping, "stopping on \(signal == SIGTERM ? "SIGTERM" : "SIGINT")")
        isStopping = true
      }
    }
    // Also without SIGCHLD: several of one kind come as one.
    for ended in processes.reap(now: .now) { workerProcessEnded(ended) }
  }

  // MARK: Inbox

  private func lookIntoInbox() {
    let now = ContinuousClock.now
    if inbox == nil, let due = inboxRetryAt, now >= due {
      do {
        inbox = try Inbox(folder: spool.folders.inbox, polling: configuration.polling)
        logger.notice("the inbox is watched again")
      } catch {
        inboxRetryAt = now + .seconds(2)
      }
    }
    guard let inbox else { return }
    do {
      take(try inbox.refresh(now: now), from: inbox)
    } catch {
      logger.log(.inboxUnwatched, "\(error)")
      self.inbox = nil
      readyClips = []
      syncedClips = []
      inboxRetryAt = now + .seconds(2)
    }
  }

  // MARK: What failed before

  /// Sees to it that what could not be done is tried again.
  func retryLater(_ pause: Duration = Daemon.retryPause) {
    let due = ContinuousClock.now + pause
    retryAt = min(retryAt ?? due, due)
  }

  private func retryIfDue(now: ContinuousClock.Instant) {
    guard let due = retryAt, now >= due else { return }
    retryAt = nil
    for (job, ended) in unrecorded {
      unrecorded[job] = nil
      conclude(job, ended.outcome, ended.attempt)
    }
    attempt("clips of refused requests cannot be removed") { try spool.removeRefused() }
    attempt("claims cannot be completed") {
      let (jobs, problems) = try spool.resumeClaims()
      for problem in problems { logger.warning("\(problem)") }
      if !problems.isEmpty { retryLater() }
      jobs.forEach(welcome)
    }
    attempt("jobs cannot be delivered") {
      var failures = 0
      // In another order each time, so that some that cannot be delivered do not keep out the others.
      for job in try spool.store.undelivered().shuffled() where failures < 3 {
        failures += deliver(job.id, again: true) ? 0 : 1
      }
    }
    attempt("jobs without a worker cannot be queued again") {
      let held = Set(workers.values.compactMap { $0.work?.assignment.job })
      for job in try spool.store.jobs(in: [.running])
      where !held.contains(job.id) && unrecorded[job.id] == nil {
        try takeBack(job.id)
      }
    }
  }

  /// Does what may fail for a reason outside: says so, and sees to it that it is tried again.
  func attempt(_ failure: String, job: JobID? = nil, _ action: () throws -> Void) {
    do {
      try action()
    } catch {
      logger.error("\(failure): \(error)", metadata: job.map { fields(of: $0) })
      retryLater()
    }
  }

  // MARK: Status and stop

  private func showStatus() {
    guard let counts = try? spool.store.countsByState() else { return }
    var status = mode == .running ? "" : "\(mode.rawValue): "
    status +=
      "\(counts[.queued] ?? 0) queued, \(counts[.running] ?? 0) running, \(counts[.done] ?? 0) done, \(counts[.failed] ?? 0) failed"
    if let held = holdsBack?.limit { status += "; held back by the limit '\(held)'" }
    let shown = 4
    let busy = workers.values.filter { $0.work != nil }.sorted { $0.name < $1.name }
    for work in busy.prefix(shown).compactMap(\.work) {
      status += "; \(work.assignment.job): \(work.progress?.text ?? "begins")"
    }
    if busy.count > shown { status += "; and \(busy.count - shown) more" }
    serviceManager.show(status)
  }

  /// Tells the workers to stop, waits for their checkpoints, and leaves their jobs queued.
  private func stop() throws {
    serviceManager.tell("STOPPING=1")
    let busy = workers.values.filter { $0.work != nil }.count
    serviceManager.show(
      busy == 0
        ? "stopping"
        : "stopping: \(busy) \(busy == 1 ? "job leaves its" : "jobs leave their") checkpoint")
    acceptPending()
    processes.stop()
    for (name, worker) in workers where processes.pid(of: name) == worker.pid {
      _ = send(.stop, to: worker)
    }
    let deadline = ContinuousClock.now + WorkerTimes.stop
    var isKilled = false
    while !processes.isEmpty {
      let now = ContinuousClock.now
      if now >= deadline && !isKilled {
        logger.warning("not every worker stopped in time: the others are killed")
        isKilled = true
        processes.killAll()
      }
      _ = try Poller.wait(
        for: [.descriptor(signals.descriptor)] + workerSockets.map { .socket($0) },
        milliseconds: now >= deadline
          ? 100 : milliseconds(until: min(deadline, now + .seconds(1)), from: now))
      // This is a loop that turns, too.
      serviceManager.signOfLife(now: .now)
      // Its last words may be that it is done.
      try takeWorkerMessages()
      for ended in processes.reap(now: .now) {
        logger.info("worker \(ended.how)", metadata: ["worker": "\(ended.name)"])
      }
      _ = signals.read()
    }
    try takeWorkerMessages()
    for job in try spool.store.jobs(in: [.running]) where unrecorded[job.id] == nil {
      try takeBack(job.id)
    }
    logger.log(.daemonStopped, "stopped")
  }
}
