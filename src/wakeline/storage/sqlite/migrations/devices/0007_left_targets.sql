-- Which device a token belonged to that its device has given up: pushes to it are still asked about.
CREATE INDEX history_of_left_target ON target_history (target) WHERE reason = 'not registered any more';
