import JobQueue
import Messaging

extension ControlRequest {
  /// The job that it is about.
  var job: JobID? {
    switch self {
    case .status(let job), .watch(let job): job
    case .cancel(let job), .retry(let job, _, _), .files(let job), .fetch(let job, _, _, _): job
    default: nil
    }
  }
}

extension ControlClient {
  /// A refusal with what to do about it.
  func failure(_ refusal: Refusal, of request: ControlRequest) -> CommandFailure {
    guard refusal.code == .notFound, let id = request.job,
      case .jobs(let jobs, _)? = try? self.request(
        .list(JobFilter(limit: JobFilter.longestList)), timeout: 3),
      !jobs.contains(where: { $0.id == id })
    else { return CommandFailure(refusal.description) }
    let hint =
      meantJob(by: id.rawValue, among: jobs).map {
        "did you mean \($0.id) (\($0.name), \($0.state.rawValue))?"
      } ?? "'stemctl list' shows all."
    let sentence =
      refusal.description.hasSuffix(".") ? refusal.description.dropLast() : refusal.description[...]
    return CommandFailure("\(sentence); \(hint)")
  }
}

/// The job that was probably meant by an id that does not exist: its clip's name in the id's place,
/// a part of the id, or the id with up to two wrong characters.
/// - Parameter jobs: in the order of acceptance; of several, the last one is meant.
func meantJob(by text: String, among jobs: [Job]) -> Job? {
  if let named = jobs.last(where: { $0.name == text || $0.sourceName == text }) { return named }
  let text = text.lowercased()
  if text.count >= 4, let part = jobs.last(where: { $0.id.rawValue.contains(text) }) { return part }
  func slips(_ id: JobID) -> Int {
    id.rawValue.count == text.count ? zip(id.rawValue, text).count { $0 != $1 } : .max
  }
  return jobs.reversed().min { slips($0.id) < slips($1.id) }.flatMap {
    slips($0.id) <= 2 ? $0 : nil
  }
}
