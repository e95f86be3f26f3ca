// SPDX-License-Identifier: Apache-2.0
import EtcdClient
import EtcdValues

/// etcd's members as its endpoints told them last, and which endpoint leads to which.
struct EtcdMembership {
    /// Empty: nobody has told them.
    private(set) var members: [EtcdMemberList.Member] = []
    /// The member to which an endpoint led last, by URL.
    private(set) var numbers: [String: UInt64] = [:]

    /// `lists`: of endpoints of one cluster. What endpoints that are silent now led to, is kept as long as there is such a member.
    mutating func take(_ lists: [EtcdMemberList]) {
        guard let first = lists.first else { return }
        self.members = first.members
        let all = Set(first.members.map(\.id))
        self.numbers = self.numbers.filter { all.contains($0.value) }
        for list in lists where list.header.memberID != 0 { self.numbers[list.toldBy] = list.header.memberID }
    }
}
