/// What was inserted last, so many and no more.
struct RecentSet<Element: Hashable & Sendable>: Sendable {
  private let kept: Int
  private var elements: Set<Element> = []
  private var order: [Element] = []
  private var next = 0

  init(keeping kept: Int) { self.kept = kept }

  func contains(_ element: Element) -> Bool { elements.contains(element) }

  mutating func insert(_ element: Element) {
    guard elements.insert(element).inserted else { return }
    if order.count < kept {
      order.append(element)
    } else {
      elements.remove(order[next])
      order[next] = element
      next = (next + 1) % kept
    }
  }
}
