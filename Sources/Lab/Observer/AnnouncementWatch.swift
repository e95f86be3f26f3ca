// SPDX-License-Identifier: Apache-2.0
import CLab
import EventLoop
import Glibc

/// Records whenever a node tells the client's network that it has one of the virtual addresses: who says so takes the
/// address away from whoever else has it, whether the own kernel has it or not.
@EventLoop
final class AnnouncementWatch {
    private let recorder: EventRecorder
    private let addresses: Set<String>
    /// The nodes, by the link addresses of their interfaces.
    private let nodes: [String: String]
    private var sources: [EventSource] = []
    private var descriptors: [Int32] = []
    private var buffer = [UInt8](repeating: 0, count: 2048)

    /// Must be called in the client's network namespace.
    init(_ options: LabOptions, _ recorder: EventRecorder) throws(LabError) {
        self.recorder = recorder
        self.addresses = Set(options.plainAddresses)
        self.nodes = Dictionary(uniqueKeysWithValues: options.nodes.map { (LabLayout.linkAddress($0), $0) })
        let kinds = [
            (lab_arp_socket(), Announcement.init(arp:)),
            (lab_advertisement_socket(), Announcement.init(advertisement:)),
        ]
        for (descriptor, read) in kinds {
            guard descriptor >= 0 else { throw Host.failure("cannot listen for announcements") }
            self.descriptors.append(descriptor)
            self.sources.append(
                .descriptor(descriptor, .read) { [weak self] _ in self?.receive(descriptor, read) })
        }
    }

    isolated deinit { for descriptor in self.descriptors { close(descriptor) } }

    /// At most as many as fit into one turn; what is left makes the next.
    private func receive(_ descriptor: Int32, _ read: (ArraySlice<UInt8>) -> Announcement?) {
        for _ in 0..<64 {
            let count = recv(descriptor, &self.buffer, self.buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { return }
            guard let announcement = read(self.buffer[..<count]), self.addresses.contains(announcement.address),
                let node = self.nodes[announcement.linkAddress]
            else { continue }
            self.recorder.record(
                LabEvent(at: BootClock.microseconds, .announced, node: node, address: announcement.address))
        }
    }
}
