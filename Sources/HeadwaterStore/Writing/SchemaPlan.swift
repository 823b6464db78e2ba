import HeadwaterModel

/// Everything that the store looks up about a schema on its hot paths, computed once.
final class SchemaPlan: Sendable {
  let schema: Schema
  let hash: Digest
  let collections: [CollectionPlan]
  let rules: RulePlan

  init(_ schema: Schema, hash: Digest) {
    self.schema = schema
    self.hash = hash
    collections = schema.collections.indices.map { CollectionPlan(schema, collection: $0) }
    rules = RulePlan(schema, collections: collections)
  }
}
