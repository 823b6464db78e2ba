import HeadwaterLog
import HeadwaterModel

extension Engine {
  /// The error of a local write that would be void.
  func refusal(
    _ reason: VerdictReason, _ by: [Digest], _ changes: [ResolvedChange], _ asks: [Ask],
    _ viewpoint: Viewpoint
  ) throws -> StoreError {
    StoreError(.refused, "the write would be void", reason: reason.rawValue)
  }
}
