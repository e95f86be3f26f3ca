// SPDX-License-Identifier: Apache-2.0
import EventLoop
import Settings
import WebServer

/// The page for people: three files that show what the other paths say. They contain nothing of the cluster, so that everybody may have
/// them; what they show they ask for as any client does, with the token that the person types.
@EventLoop
struct Page {
    nonisolated static let folder = "/usr/share/pharos/page"
    /// Bytes of one file.
    private nonisolated static let limit = 256 << 10
    private nonisolated static let files = [
        (path: "/", file: "index.html", type: "text/html; charset=utf-8"),
        (path: "/page.css", file: "page.css", type: "text/css; charset=utf-8"),
        (path: "/page.js", file: "page.js", type: "text/javascript; charset=utf-8"),
    ]
    /// Nothing from elsewhere, no script or style in the text, in no frame.
    nonisolated static let headers = [
        (
            name: "Content-Security-Policy",
            value:
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        ), (name: "Referrer-Policy", value: "no-referrer"),
    ]

    private var answers: [String: WebAnswer] = [:]

    /// What is installed in `folder`. Where a file is missing there is no page at all.
    init(folder: String = Page.folder, environment: SettingsEnvironment = .system) {
        for (path, file, type) in Self.files {
            guard case .success(let content) = environment.read("\(folder)/\(file)", Self.limit) else {
                self.answers = [:]
                return
            }
            var answer = WebAnswer(200, type, WebBody(Array(content.contents)), headers: Self.headers)
            // A browser may keep it, and asks each time whether it is still the one that is installed.
            (answer.tag, answer.cacheControl) = (EntityTag.strong(content.contents), "no-cache")
            self.answers[path] = answer
        }
    }

    /// Nil where it is no path of the page.
    func answer(_ method: String, _ path: String) -> WebAnswer? {
        ["GET", "HEAD", "OPTIONS"].contains(method) ? self.answers[path] : nil
    }
}
