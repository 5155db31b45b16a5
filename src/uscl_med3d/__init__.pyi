from uscl_med3d.core.errors import InputError as InputError
from uscl_med3d.user.segmenter import Segmenter as Segmenter
from uscl_med3d.view.notebook import show as show

__version__: str
