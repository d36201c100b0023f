import Foundation
import JobQueue
import Testing

@testable import stemctl

@Suite struct MeantJobTests {
  private let jobs = [
    ("1jdkfs6tz9y2w", "ball"), ("1jdkfs6tz9y3x", "cube"), ("1jdkfs7aaaaaa", "ball"),
  ]
  .map {
    Job(
      id: JobID(rawValue: $0), name: $1, sourceName: "\($1).mp4", settings: nil, submitted: Date())
  }

  @Test(
    "a job is found by its clip's name, by a part of its id, and by an id with slips",
    arguments: [
      ("ball", "1jdkfs7aaaaaa"), ("cube.mp4", "1jdkfs6tz9y3x"), ("1jdkfs6tz9y2", "1jdkfs6tz9y2w"),
      ("y3x", nil), ("z9y3x", "1jdkfs6tz9y3x"), ("1JDKFS6TZ9Y2W", "1jdkfs6tz9y2w"),
      ("1jdkfs6tz9y2v", "1jdkfs6tz9y2w"), ("1jdkfs6zt9y2w", "1jdkfs6tz9y2w"), ("nothing", nil),
      ("", nil),
    ])
  func meant(text: String, id: String?) {
    #expect(meantJob(by: text, among: jobs)?.id.rawValue == id)
  }
}
