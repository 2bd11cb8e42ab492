"""SyncNet (Chung and Zisserman): which sound belongs to which picture."""
