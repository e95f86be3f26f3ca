// SPDX-License-Identifier: Apache-2.0
import EventLoop
import NetworkBed

/// From the put of the leader key to the address on the new node: Pharos, the floor of its protocol, and vip-manager, in
/// turns, so that whatever else the machine does falls on all of them.
@EventLoop
struct ReactionBenchmark {
    let bed: TestBed
    let runs: Int

    init(_ bed: TestBed, runs: Int) {
        self.bed = bed
        self.runs = runs
    }

    func run() async throws(BedError) -> ReactionResult {
        let observer = try self.bed.parts().observer
        let pharos = try await PharosSubject.start(self.bed)
        let floor = try Floor(self.bed)
        var result = ReactionResult()
        var other: VipManagerSubject?
        switch try await VipManagerSubject.start(self.bed) {
        case .success(let subject): other = subject
        case .failure(let reason): result.vipManagerAbsence = reason.message
        }
        // Once unmeasured: connections are made, pages are touched.
        _ = try await self.move(pharos, to: .b)
        try await floor.move()
        if let other { _ = try await self.move(other, to: .b) }
        var holder = TestBed.Node.b
        for run in 0..<self.runs {
            if run.isMultiple(of: 10) { complain("reaction: run \(run) of \(self.runs)") }
            result.pharos.add(try await self.move(pharos, to: holder.other))
            holder = holder.other
            try await floor.move()
            result.floor.on.append(try self.floorReaction(floor))
            if let off = observer.instant(
                of: floor.address, on: TestBed.Node.bench.id, isPresent: false, since: floor.beganAt)
            {
                result.floor.off.append(milliseconds(from: floor.beganAt, to: off))
            }
            if let other {
                result.vipManager.add(try await self.move(other, to: run.isMultiple(of: 2) ? .a : .b))
            }
            try await self.free(pharos, from: holder)
            result.pharosFromNobody.on.append(try await self.take(pharos, by: holder.other))
            holder = holder.other
            try await floor.take()
            result.floorFromNobody.on.append(try self.floorReaction(floor))
        }
        result.turns = try await pharos.longestTurns()
        result.pharos.overlap = try observer.overlap(of: pharos.address)
        if let other { result.vipManager.overlap = try observer.overlap(of: other.address) }
        return result
    }

    private func floorReaction(_ floor: Floor) throws(BedError) -> Double {
        let observer = try self.bed.parts().observer
        // `ip` has ended, so the event is there, though perhaps not read yet.
        observer.receive()
        guard
            let on = observer.instant(
                of: floor.address, on: TestBed.Node.bench.id, isPresent: true, since: floor.beganAt)
        else {
            throw BedError("the floor's address did not appear")
        }
        return milliseconds(from: floor.beganAt, to: on)
    }

    /// Lets the leader key name another member than the one it names; answers when the address was on and off.
    private func move(
        _ subject: some Subject,
        to target: TestBed.Node
    ) async throws(BedError) -> (on: Double, off: Double) {
        let observer = try self.bed.parts().observer
        let old = target.other
        try await settle()
        let began = BootClock.microseconds
        try await subject.name(target)
        try await wait(for: "address on \(target.member)", timeout: .seconds(10)) {
            observer.instant(of: subject.address, on: target.id, isPresent: true, since: began) != nil
                && observer.instant(of: subject.address, on: old.id, isPresent: false, since: began) != nil
        }
        guard let on = observer.instant(of: subject.address, on: target.id, isPresent: true, since: began),
            let off = observer.instant(of: subject.address, on: old.id, isPresent: false, since: began)
        else { throw BedError("an event vanished") }
        return (milliseconds(from: began, to: on), milliseconds(from: began, to: off))
    }

    /// Takes the leader key away, and waits until nobody has the address.
    private func free(_ subject: PharosSubject, from holder: TestBed.Node) async throws(BedError) {
        let observer = try self.bed.parts().observer
        try await subject.nameNobody()
        try await wait(for: "release by \(holder.member)", timeout: .seconds(10)) {
            !observer.isHeld(subject.address, on: holder.id)
        }
    }

    private func take(_ subject: PharosSubject, by target: TestBed.Node) async throws(BedError) -> Double {
        let observer = try self.bed.parts().observer
        try await settle()
        let began = BootClock.microseconds
        try await subject.name(target)
        try await wait(for: "address on \(target.member)", timeout: .seconds(10)) {
            observer.instant(of: subject.address, on: target.id, isPresent: true, since: began) != nil
        }
        let on = observer.instant(of: subject.address, on: target.id, isPresent: true, since: began)
        return milliseconds(from: began, to: on ?? began)
    }

}

/// Lets everything come to rest, for a time that does not keep step with anybody's timer. Every measured reaction begins
/// after one, that of the floor too: a machine that has just done the same is faster.
@EventLoop
func settle() async throws(BedError) {
    try await pause(.milliseconds(Int64.random(in: 1200...1800)))
}

extension Reactions {
    mutating func add(_ run: (on: Double, off: Double)) {
        self.on.append(run.on)
        self.off.append(run.off)
    }
}

/// Microseconds since boot to milliseconds between.
func milliseconds(from start: Int64, to end: Int64) -> Double { Double(end - start) / 1000 }
