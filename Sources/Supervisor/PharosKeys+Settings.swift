// SPDX-License-Identifier: Apache-2.0
import LeaseKeys

extension PharosKeys {
    init(_ settings: SupervisorSettings) {
        self.init(
            root: settings.root, namespace: settings.namespace, scope: settings.scope, group: settings.group)
    }
}
