-- vs-srcomp in mpv: finds out how strongly the opened file was compressed, and sets the filter accordingly.
--
-- vs-srcomp mpv install puts this file and srcomp.vpy into mpv's scripts/srcomp/, this one under the name main.lua.
-- To try it without: mpv --script="$(dirname "$(vs-srcomp mpv path)")"/srcomp.lua clip.mkv
--
--   Ctrl+u   filter on and off       script-binding srcomp/toggle
--   Alt+u    show what is done       script-binding srcomp/show
--
-- Options go to script-opts/srcomp.conf in mpv's folder, or --script-opts=srcomp-ratio=2:1,srcomp-q=30
local options = {
    enabled = true,        -- whether the filter is on at the start: yes or no
    ratio = "auto",        -- auto fills the display, by 2:1 at most; or 2:1, 8:5, 4:3
    q = "auto",            -- how strongly the file was compressed, 0 to 63; auto reads it from the file
    model = "fast",        -- light, fast or quality, the name of another model, or the path of an ONNX file
    look = "faithful",     -- the least error, or crisp: what people prefer to look at
    sharpness = "0",       -- how much luma is sharpened after the network, 0 to 1; 0.25 is a good amount
    adapt = "yes",         -- whether to switch to a faster network if this one is too slow: yes or no
    frames = 2,            -- frames to process at the same time: more of them slow each seek
    command = "vs-srcomp", -- program that finds q; empty for none
    vpy = "",              -- the filter's script; empty for the one beside main.lua
}
require("mp.options").read_options(options, "srcomp")
local utils = require("mp.utils")
local msg = require("mp.msg")

local LABEL = "srcomp"
local NEAR = 2 -- a smaller difference of q is hardly visible
local here = mp.get_script_directory() or utils.split_path(debug.getinfo(1, "S").source:sub(2))
local vpy = options.vpy ~= "" and options.vpy or utils.join_path(here, "srcomp.vpy")
local status_file = os.tmpname()
local enabled = options.enabled
local scenes = {}    -- scenes of the file: start in seconds, and q
local q = options.q  -- the filter's q, also while it is off
local reported       -- the network that the last message called too slow

local function user_data()
    local parts = { "ratio=" .. options.ratio, "q=" .. q, "model=" .. options.model,
        "look=" .. options.look, "sharpness=" .. options.sharpness, "adapt=" .. options.adapt }
    local width, height = mp.get_property_number("display-width", 0), mp.get_property_number("display-height", 0)
    if width > 0 and height > 0 then table.insert(parts, ("display=%dx%d"):format(width, height)) end
    table.insert(parts, "status=" .. status_file)
    return table.concat(parts, ",")
end

-- Update the filter list. Other filters stay, and the filter is reloaded only if its options change.
local function update()
    local filters, changed, found = {}, false, false
    local wanted = enabled and mp.get_property_native("current-tracks/video/image") == false
    for _, filter in ipairs(mp.get_property_native("vf")) do
        if filter.label ~= LABEL then
            table.insert(filters, filter)
        elseif wanted then
            found = true
            changed = filter.params["user-data"] ~= user_data()
            filter.params["user-data"] = user_data()
            table.insert(filters, filter)
        else
            changed = true
        end
    end
    if wanted and not found then
        changed = true
        local params = { file = vpy, ["concurrent-frames"] = tostring(options.frames), ["user-data"] = user_data() }
        table.insert(filters, { name = "vapoursynth", label = LABEL, enabled = true, params = params })
    end
    if changed and not mp.set_property_native("vf", filters) then
        mp.osd_message("srcomp: mpv refuses the filter; run vs-srcomp doctor for the reason", 5)
    end
end

-- Use the q of the current scene. A small change does not reload the filter.
local function follow()
    if options.q ~= "auto" or #scenes == 0 then return end
    local now = mp.get_property_number("time-pos", 0)
    local scene = scenes[1]
    for _, candidate in ipairs(scenes) do
        if candidate.start <= now then scene = candidate end
    end
    if q == "auto" or math.abs(scene.q - tonumber(q)) >= NEAR then
        q = ("%.1f"):format(scene.q)
        msg.info(("q is %s from %.1f s on"):format(q, scene.start))
        update()
    end
end

local function read_scenes(text)
    local report = utils.parse_json(text or "")
    if type(report) ~= "table" then return {} end
    local list = {}
    for _, scene in ipairs(type(report.scenes) == "table" and report.scenes or {}) do
        if type(scene.q) == "number" and type(scene.start) == "number" then table.insert(list, scene) end
    end
    if #list == 0 and type(report.q) == "number" then list = { { start = 0, q = report.q } } end
    return list
end

local function probe()
    local path = mp.get_property("path", "")
    if options.q ~= "auto" or options.command == "" or path == "-" then return end
    -- Desktops open files by address.
    local is_address = path:find("://", 1, true)
    if is_address and not path:find("^file://") then return end
    local file = is_address and path or utils.join_path(mp.get_property("working-directory", ""), path)
    local command = {
        name = "subprocess",
        args = { options.command, "probe", "--json", "--quick", file },
        capture_stdout = true,
        capture_stderr = true,
        playback_only = true,
    }
    mp.command_native_async(command, function(started, result)
        if path ~= mp.get_property("path", "") then return end
        if not started or result.status ~= 0 then
            msg.verbose("q is not known: " .. (started and result.stderr or "there is no " .. options.command))
            return
        end
        scenes = read_scenes(result.stdout)
        follow()
    end)
end

local function read_status()
    local file = io.open(status_file)
    if not file then return {} end
    local status = utils.parse_json(file:read("*a") or "")
    file:close()
    return type(status) == "table" and status or {}
end

local function warn_once()
    local too_slow = enabled and read_status().too_slow
    if too_slow and too_slow ~= reported then mp.osd_message("srcomp: " .. too_slow .. " is too slow here", 4) end
    reported = too_slow
end

local function summary()
    if not enabled then return "srcomp is off" end
    local status = read_status()
    local lines = {}
    local function add(...) table.insert(lines, string.format(...)) end
    if status.model then
        add("srcomp: %s", status.model)
        if status.q then add("Q %.0f%s, made for %s", status.q, q == "auto" and " (assumed)" or "", status.ratio) end
        local width, height = mp.get_property_number("video-dec-params/w", 0), mp.get_property_number("video-dec-params/h", 0)
        add("%dx%d to %dx%d", width, height, status.width, status.height)
    elseif status.width then
        add("srcomp leaves %dx%d as it is", status.width, status.height)
    else
        add("srcomp: no picture has come through; the terminal may show the reason")
    end
    if status.possible_fps then add("%.1f fps possible, %.1f needed", status.possible_fps, status.needed_fps) end
    if status.too_slow then add("%s is too slow here", status.too_slow) end
    local dropped = mp.get_property_number("frame-drop-count", 0) + mp.get_property_number("decoder-frame-drop-count", 0)
    add("%.2f fps, %d dropped, A-V %.3f s", mp.get_property_number("estimated-vf-fps", 0), dropped, mp.get_property_number("avsync", 0))
    return table.concat(lines, "\n")
end

mp.register_event("file-loaded", function()
    scenes, q = {}, options.q
    update()
    probe()
end)
mp.register_event("playback-restart", follow)
-- There is no display before the first window; the size to make depends on it.
mp.observe_property("display-height", "number", function(_, height)
    if height then update() end
end)
mp.add_key_binding("Ctrl+u", "toggle", function()
    enabled = not enabled
    update()
    mp.osd_message(enabled and "srcomp on" or "srcomp off")
end)
mp.add_key_binding("Alt+u", "show", function() mp.osd_message(summary(), 5) end)
mp.register_script_message("summary", function() mp.set_property("user-data/srcomp", summary()) end)
mp.add_periodic_timer(1, warn_once)
mp.register_event("shutdown", function() os.remove(status_file) end)
