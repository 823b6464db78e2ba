/// From how many changes on each way of writing is taken.
///
/// The defaults are where the measurements cross ([decision 0023](../../Docs/Decisions/0023-ways-of-writing.md)); tests
/// set others, so that a few rows take the ways of many.
package struct WritePaths: Sendable {
  /// The most changes that are sent at once, without waiting for an answer in between.
  package var pipelinedChanges = 500
  /// From how many new rows of a table COPY costs less than an INSERT of arrays.
  package var copiedRows = 400
  /// From how many changed rows of a table a staging table costs less than an INSERT of arrays.
  package var stagedRows = 8_000
  /// The most rows in one INSERT of arrays.
  package var arrayRows = 10_000

  package init() {}

  /// Every change by way of a staging table.
  package static var staged: WritePaths {
    var paths = WritePaths()
    paths.pipelinedChanges = 0
    paths.copiedRows = .max
    paths.stagedRows = 1
    return paths
  }

  /// Every row that the source calls new by COPY straight in, every other one by way of a staging table.
  package static var copied: WritePaths {
    var paths = staged
    paths.copiedRows = 1
    return paths
  }

  /// No change by COPY.
  package static var arrays: WritePaths {
    var paths = WritePaths()
    paths.pipelinedChanges = 0
    paths.copiedRows = .max
    paths.stagedRows = .max
    return paths
  }
}
